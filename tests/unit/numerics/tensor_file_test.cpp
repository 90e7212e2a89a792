// safetensors and npy: what is read, and where it says a damaged file is wrong.
#include "sim/numerics/tensor_file.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

std::string safetensors(const std::string& header, const std::string& data) {
  std::string out(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(out.data(), &length, sizeof length);
  return out + header + data;
}

std::string npy(const std::string& dictionary, const std::string& data) {
  std::string out("\x93NUMPY\x01\x00", 8);
  const auto length = static_cast<std::uint16_t>(dictionary.size());
  out.append(reinterpret_cast<const char*>(&length), 2);
  return out + dictionary + data;
}

std::string floats(const std::vector<float>& values) {
  std::string out(4 * values.size(), '\0');
  std::memcpy(out.data(), values.data(), out.size());
  return out;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

std::string wrong(const std::string& file) {
  try {
    if (looks_like_npy(bytes_of(file))) {
      parse_npy(bytes_of(file), "x");
    } else {
      parse_safetensors(bytes_of(file), "x");
    }
  } catch (const TensorFileError& error) {
    return error.what();
  }
  return "nothing";
}

TEST(Safetensors, TensorsInTheOrderOfTheirBytes) {
  const std::string file = safetensors(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"BF16","shape":[2,1],"data_offsets":[8,12]},)"
      R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"n":{"dtype":"I64","shape":[],"data_offsets":[12,20]}}  )",
      floats({1.5f, -2}) + std::string("\x80\x3f\x00\xc0", 4) + std::string(8, '\0'));
  const std::vector<Tensor> tensors = parse_safetensors(bytes_of(file), "x");
  ASSERT_EQ(tensors.size(), 3u);
  EXPECT_EQ(tensors[0].name, "a");
  EXPECT_EQ(tensors[1].shape, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(tensors[2].type, StoredType::kOther);
  EXPECT_EQ(tensors[2].elements(), 1);
  std::vector<float> values(2);
  read_numbers(tensors[0], 0, values);
  EXPECT_EQ(values, (std::vector<float>{1.5f, -2}));
  read_numbers(tensors[1], 0, values);
  EXPECT_EQ(values, (std::vector<float>{1, -2}));
  EXPECT_EQ(tensors[0].offset + 20, file.size());
  EXPECT_TRUE(parse_safetensors(bytes_of(safetensors("{}", "")), "x").empty());
}

TEST(Safetensors, DamageIsPlaced) {
  const auto entry = [](const std::string& fields) {
    return safetensors("{\"w\":{" + fields + "}}", std::string(8, 0));
  };
  const std::string good = R"("dtype":"F32","shape":[2],"data_offsets":[0,8])";
  EXPECT_EQ(wrong(entry(good)), "nothing");
  EXPECT_EQ(wrong("1234"), "x: error: at byte 4: the file ends; expected the 8 bytes of a safetensors header's length");
  EXPECT_NE(wrong("{\"w\":{\"dtype\"").find("at byte 0: a header of "), std::string::npos);
  EXPECT_NE(wrong(safetensors("{", "")).find("no JSON"), std::string::npos);
  EXPECT_NE(wrong(safetensors("[]", "")).find("at byte 8: the header does not begin with '{'"), std::string::npos);
  EXPECT_NE(wrong(safetensors("{} x", "")).find("at byte 11: the header is no JSON object"), std::string::npos);
  const std::string cut = entry(good).substr(0, 20);
  EXPECT_EQ(wrong(cut), "x: error: at byte 20: the file ends; its header goes on to byte " +
                            std::to_string(entry(good).size() - 8));
  EXPECT_NE(
      wrong(entry(good).substr(0, entry(good).size() - 1)).find("the file ends inside tensor 'w'; expected 1 more"),
      std::string::npos);
  EXPECT_NE(wrong(entry(good) + "x").find("1 bytes that belong to no tensor"), std::string::npos);
  EXPECT_NE(
      wrong(entry(R"("dtype":"F32","shape":[3],"data_offsets":[0,8])")).find("expected 12 bytes for its shape and F32"),
      std::string::npos);
  EXPECT_NE(wrong(entry(R"("dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8])")).find("larger than"),
            std::string::npos);
  for (const char* fields :
       {R"("dtype":"F33","shape":[2],"data_offsets":[0,8])", R"("dtype":"F32","shape":[-2],"data_offsets":[0,8])",
        R"("dtype":"F32","shape":[2.0],"data_offsets":[0,8])", R"("dtype":"F32","shape":2,"data_offsets":[0,8])",
        R"("dtype":"F32","shape":[[2]],"data_offsets":[0,8])", R"("dtype":"F32","shape":[2],"data_offsets":[8,0])",
        R"("dtype":"F32","shape":[2],"data_offsets":[0,8,8])", R"("dtype":"F32","shape":[2],"data_offsets":[0])",
        R"("dtype":"F32","shape":[2])", R"("shape":[2],"data_offsets":[0,8])", R"("dtype":null,"shape":[2])",
        R"("dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1)", R"("dtype":"F4","shape":[1],"data_offsets":[0,1])",
        R"("dtype":"F32","shape":[1],"shape":[2],"data_offsets":[0,8])", R"("dtype":{"a":{}})",
        R"("dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551615])"})
    EXPECT_NE(wrong(entry(fields)).find("at byte "), std::string::npos) << fields << ": " << wrong(entry(fields));
  const std::string pair = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],)";
  EXPECT_NE(wrong(safetensors(pair + R"("data_offsets":[5,9]}})", std::string(9, 0))).find("a gap between"),
            std::string::npos);
  EXPECT_NE(wrong(safetensors(pair + R"("data_offsets":[3,7]}})", std::string(7, 0))).find("an overlap between"),
            std::string::npos);
  EXPECT_NE(
      wrong(safetensors(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}})", "")).find("stands twice"),
      std::string::npos);
}

TEST(Safetensors, ADeepHeaderIsNoStackBomb) {
  const std::string deep(5'000'000, '[');
  EXPECT_NE(wrong(safetensors("{\"a\":" + deep, "")).find("an unexpected list"), std::string::npos);
  std::string objects;
  for (int i = 0; i < 1'000'000; ++i) objects += "{\"a\":";
  EXPECT_NE(wrong(safetensors(objects, "")).find("unknown key 'a'"), std::string::npos);
}

TEST(Npy, EveryVersionAndType) {
  const std::string file =
      npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n", floats({1, 2, 3, 4, 5, 6}));
  const Tensor t = parse_npy(bytes_of(file), "folder/name.npy");
  EXPECT_EQ(t.name, "name");
  EXPECT_EQ(t.rows(), 2);
  EXPECT_EQ(t.columns(), 3);
  std::vector<float> values(2);
  read_numbers(t, 4, values);
  EXPECT_EQ(values, (std::vector<float>{5, 6}));
  std::string third = file;
  third.replace(6, 4, std::string("\x03\x00\x3c\x00\x00\x00", 6));
  EXPECT_EQ(wrong(third), "nothing");
  EXPECT_EQ(wrong(npy("{\"shape\":(2,),\"descr\":\"<f8\",\"fortran_order\":True}", std::string(16, 0))), "nothing");
  EXPECT_EQ(wrong(npy("{'descr': '<f2', 'fortran_order': False, 'shape': ()}", std::string(2, 0))), "nothing");
}

TEST(Npy, DamageIsPlaced) {
  const auto of = [](const std::string& dictionary) { return wrong(npy(dictionary, std::string(8, 0))); };
  EXPECT_EQ(of("{'descr': '<f4', 'fortran_order': False, 'shape': (2,)}"), "nothing");
  EXPECT_EQ(of("{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}"),
            "x: error: at byte 73: the file ends; expected 4 more bytes");
  EXPECT_EQ(of("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}"),
            "x: error: at byte 69: 4 bytes after the array");
  EXPECT_NE(of("{'descr': '>f4', 'fortran_order': False, 'shape': (2,)}").find("no type '>f4'"), std::string::npos);
  EXPECT_NE(of("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1)}").find("order='C'"), std::string::npos);
  for (const char* dictionary :
       {"", "{", "{}", "{'descr': [('a', '<f4')], }", "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-2,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), 'descr': '<f4'}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2,)} x", "{'descr': '<f4",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4611686018427387904)}",
        "{'descr': '<f4' 'fortran_order': False, 'shape': (2,)}"})
    EXPECT_NE(of(dictionary).find("at byte "), std::string::npos) << dictionary << ": " << of(dictionary);
  EXPECT_NE(wrong(std::string("\x93NUMPY\x04\x00\x00\x00\x00\x00", 12)).find("npy version 4"), std::string::npos);
  EXPECT_NE(wrong(std::string("\x93NUMPY\x02\x00\xff\xff\xff\x7f", 12)).find("a header of 2147483647 bytes"),
            std::string::npos);
  EXPECT_NE(wrong("\x93NUMPY").find("ends inside the npy header"), std::string::npos);
}

TEST(TensorFile, IsMappedAndKnownByItsFirstBytes) {
  const Scratch scratch;
  std::ofstream(scratch / "a.npy", std::ios::binary)
      << npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", floats({3}));
  std::ofstream(scratch / "b", std::ios::binary) << safetensors("{}", "");
  std::ofstream(scratch / "empty", std::ios::binary);
  EXPECT_TRUE(TensorFile(scratch / "a.npy").is_npy());
  TensorFile moved = TensorFile(scratch / "a.npy");
  std::vector<float> value(1);
  read_numbers(TensorFile(std::move(moved)).tensors().front(), 0, value);
  EXPECT_EQ(value[0], 3);
  // Three pages of numbers: their memory is given back, the numbers stay.
  std::vector<float> many(4000, 7);
  std::ofstream(scratch / "c.npy", std::ios::binary)
      << npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4000,)}", floats(many));
  const TensorFile file(scratch / "c.npy");
  for (int i = 0; i < 2; ++i) {
    std::vector<float> read(many.size());
    read_numbers(file.tensors().front(), 0, read);
    EXPECT_EQ(read, many);
    file.release(file.tensors().front());
  }
  EXPECT_FALSE(TensorFile(scratch / "b").is_npy());
  for (const char* name : {"empty", "nothing", ""}) EXPECT_THROW(TensorFile(scratch / name), TensorFileError) << name;
}

}  // namespace
}  // namespace headroom::testing
