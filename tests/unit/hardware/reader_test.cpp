// What is wrong with a hardware profile, and where.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "sim/config/catalogue.h"
#include "sim/config/errors.h"

namespace headroom {
namespace {

class HardwareReader : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() /
              (std::string("headroom-") + testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(folder_);
    std::ifstream file(HEADROOM_SOURCE_DIR "/configs/hardware/v100-32gb.yaml");
    std::ostringstream text;
    text << file.rdbuf();
    good_ = text.str();
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The V100's profile with the line that starts with `key` replaced, or with `line` added when there is none.
  std::string with(const std::string& key, const std::string& line) const {
    std::istringstream in(good_);
    std::string out, l;
    bool found = false;
    while (std::getline(in, l)) {
      if (!key.empty() && l.starts_with(key + ":")) {
        found = true;
        l = line;
      }
      if (!l.empty()) out += l + "\n";
    }
    return found ? out : out + line + "\n";
  }
  HardwareProfile read(const std::string& text) const {
    const std::filesystem::path path = folder_ / "card.yaml";
    std::ofstream(path) << text;
    return read_hardware(path.string());
  }
  std::string error(const std::string& text) const {
    try {
      read(text);
    } catch (const ConfigError& e) {
      return e.what();
    }
    return "no error";
  }

  std::filesystem::path folder_;
  std::string good_;
};

TEST_F(HardwareReader, SaysWhatIsWrong) {
  EXPECT_EQ(error(good_), "no error");
  struct {
    const char *key, *line, *says;
  } cases[] = {
      {"num_sms", "", "missing key 'num_sms'"},
      {"num_sms", "num_sms: 80", "num_sms"},
      {"num_sms", "num_sms: {value: 80}", "source"},
      {"num_sms", "num_sms: {value: 80, source: \"\"}", "empty source"},
      {"num_sms", "num_sms: {value: 0, source: s}", "num_sms"},
      {"num_sms", "num_sms: {value: 80, source: s, evidence: guessed}", "guessed"},
      {"num_sms", "num_sms: {value: 80, source: s, evidnce: fitted}", "evidence"},
      {"evidence", "evidence: mesured", "did you mean 'measured'"},
      {"memory", "memory: {value: 32, source: s}", "memory"},
      {"memory_bandwidth", "memory_bandwidth: {value: 0 GB/s, source: s}", "above zero"},
      {"pcie_bandwidth", "pcie_bandwidth: {value: 12 GB, source: s}", "pcie_bandwidth"},
      {"overlap_exponent", "overlap_exponent: {value: 0.5, source: s}", "overlap_exponent"},
      {"overlap_exponent", "overlap_exponent: {value: min, source: s}", "overlap_exponent"},
      {"  gemm_compute", "  gemm_compute: {value: 1.2, source: s}", "gemm_compute"},
      {"  float16", "", "peak.float16"},
      {"  float16", "  float61: {value: 125 TFLOP/s, source: s}", "peak"},
      {"", "memory_bandwith: {value: 900 GB/s, source: s}", "did you mean 'memory_bandwidth'"},
      {"", "tables: [{kind: gemm, file: none.csv.gz, evidence: measured, source: s}]", "none.csv.gz"},
      {"", "tables: [{kind: gem, file: card.yaml, evidence: measured, source: s}]", "did you mean 'gemm'"},
      {"", "tables: [{kind: gemm, file: card.yaml, evidence: measured}]", "source"},
      {"", "tables: [{kind: gemm, file: card.yaml, evidence: measured, source: s, measured: {clock: 1}}]", "clock"},
  };
  for (const auto& c : cases) {
    const std::string message = error(with(c.key, c.line));
    EXPECT_NE(message.find(c.says), std::string::npos) << c.line << "\n" << message;
    EXPECT_NE(message.find("card.yaml:"), std::string::npos) << message;
  }
}

TEST_F(HardwareReader, ExponentMaxAndNumbers) {
  EXPECT_EQ(read(good_).overlap.exponent, 0);
  EXPECT_EQ(read(with("overlap_exponent", "overlap_exponent: {value: 2.5, source: s}")).overlap.exponent, 2.5);
  EXPECT_EQ(read(with("overlap_exponent", "overlap_exponent: {value: 1, source: s}")).overlap.exponent, 1);
}

TEST_F(HardwareReader, TablesCarryTheirOwnEvidence) {
  std::ofstream(folder_ / "g.csv") << "dtype,m,n,k,time_us\nfloat16,1,64,64,3\n";
  const HardwareProfile p = read(with("", "tables: [{kind: gemm, file: g.csv, evidence: fitted, source: a model}]"));
  ASSERT_EQ(p.gemm_tables.size(), 1U);
  EXPECT_EQ(p.gemm_tables[0].source.evidence, Evidence::kFitted);
  EXPECT_EQ(p.gemm_tables[0].source.text, "a model");
  EXPECT_EQ(p.source.evidence, Evidence::kDatasheet);
  EXPECT_EQ(p.name, "card");
}

}  // namespace
}  // namespace headroom
