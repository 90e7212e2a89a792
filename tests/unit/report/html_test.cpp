#include "sim/report/html.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sim/report/page.h"

namespace headroom {
namespace {

TEST(Html, NothingOfATextIsMarkup) {
  EXPECT_EQ(escaped("<a href=\"x\" b='y'>&amp;</a>"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;&lt;/a&gt;");
  EXPECT_EQ(escaped(std::string("a\0b\x01\x1b[1mc\n\td", 12)), "ab[1mc\n\td");
  EXPECT_EQ(escaped("Zürich, 東京"), "Zürich, 東京");
}

TEST(Html, TablesEscapeAndSort) {
  const std::string table = html_of({"<c>", {"<h>", "n"}, {{Cell{"<x>"}, number_cell(1.5, "1.5 s")}, {Cell{"only"}}}});
  EXPECT_NE(table.find("<caption>&lt;c&gt;</caption>"), std::string::npos);
  EXPECT_NE(table.find("<button type=\"button\">&lt;h&gt;</button>"), std::string::npos);
  EXPECT_NE(table.find("<th scope=\"row\">&lt;x&gt;</th><td data-v=\"1.5\">1.5 s</td>"), std::string::npos) << table;
  EXPECT_NE(table.find("colspan=\"2\""), std::string::npos) << "a row of one cell is as wide as the table";
  EXPECT_EQ(number_cell(std::nan(""), "nan").text, "–");
}

TEST(Html, BarsSkipWhatIsNotThereAndLabelWhatIsWide) {
  const std::string bar = bar_html("b", {{"much", "--blue", 0.93}, {"little", "--sky", 0.07}, {"none", "--pink", 0}});
  EXPECT_NE(bar.find(">93 %<"), std::string::npos);
  EXPECT_NE(bar.find("title=\"little: 7.0 %\""), std::string::npos);
  EXPECT_EQ(bar.find("none"), std::string::npos);
}

TEST(Html, ThePagesPolicyAllowsItsOwnScriptOnly) {
  const std::string page = page_html("<t>", "body");
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(page.find("script-src 'sha256-"), std::string::npos);
  EXPECT_EQ(page.find("unsafe-eval"), std::string::npos);
  EXPECT_NE(page.find("<title>&lt;t&gt;</title>"), std::string::npos);
}

}  // namespace
}  // namespace headroom
