#include "validate/compare/csv_table.h"

#include <gtest/gtest.h>

#include "sim/workload/text_file.h"
#include "tests/support/program.h"

namespace headroom {
namespace {

class CsvTableTest : public ::testing::Test {
 protected:
  std::string file(const std::string& text) {
    std::ofstream(folder_ / "t.csv") << text;
    return folder_ / "t.csv";
  }
  // What reading says about the text; empty: nothing is wrong.
  std::string wrong(const std::string& text) {
    try {
      const CsvTable table(file(text));
      table.number(0, 0);
      return "";
    } catch (const WorkloadError& error) {
      return error.what();
    }
  }
  testing::Scratch folder_;
};

TEST_F(CsvTableTest, KnowsItsColumnsRowsAndLines) {
  const CsvTable table(file("a,b\n\n1,\"x, \"\"y\"\"\"\r\n2,\n"));
  ASSERT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.column("b"), 1u);
  EXPECT_FALSE(table.column("c"));
  EXPECT_EQ(table.text(0, 1), "x, \"y\"");
  EXPECT_EQ(table.line(0), 3);
  EXPECT_EQ(table.number(1, 0), 2);
  EXPECT_EQ(table.text(1, 1), "");
}

TEST_F(CsvTableTest, DamageHasALine) {
  const std::pair<const char*, const char*> cases[] = {
      {"a,b\n1,2\n3\n", "t.csv:3:1: error: expected 2 columns, found 1"},
      {"a\nx\n", "t.csv:2:1: error: a: 'x' is no number"},
      {"a\nnan\n", "is no number"},
      {"a,b\n1,\"2\n", "t.csv:2:1: error: a quote is not closed"},
      {"a,b\n", "no rows"},
      {"", "no rows"},
  };
  for (const auto& [text, message] : cases) {
    SCOPED_TRACE(text);
    EXPECT_NE(wrong(text).find(message), std::string::npos) << wrong(text);
  }
  EXPECT_EQ(wrong("a\n1\n"), "");
}

}  // namespace
}  // namespace headroom
