#include "sim/report/gnuplot.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "sim/report/run_charts.h"

namespace headroom {
namespace {

bool has_gnuplot() {
  return std::system("command -v gnuplot >/dev/null 2>&1") == 0;
}

TEST(Gnuplot, TextsAreQuotedForIt) {
  EXPECT_EQ(plot_text("plain"), "'plain'");
  EXPECT_EQ(plot_text("it's `a` $x \\ \"b\""), "'it\u2019s `a` $x \\ \"b\"'");
  EXPECT_EQ(plot_text("a\nsystem 'x'\r\x01"), "'a system \u2019x\u2019  '");
  EXPECT_EQ(plot_tic("50 %"), "'50 %%'");
}

TEST(Gnuplot, DrawsEachPictureForADeskAndAPhone) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not there: apt-get install gnuplot-nox";
  const PlotScript script{
      "$d << END\n0 1\n1 2\nEND\n",
      "plot $d using 1:2 with lines lc rgb '#0072b2', $d using 1:2 with filledcurves y=0 fc rgb '#123456'"};
  const std::vector<Picture> pictures = draw(std::vector{script, script});
  ASSERT_EQ(pictures.size(), 2U);
  EXPECT_EQ(pictures[0].wide, pictures[1].wide);
  EXPECT_NE(pictures[0].wide.find("viewBox=\"0 0 560 240\""), std::string::npos);
  EXPECT_NE(pictures[0].narrow.find("viewBox=\"0 0 380 250\""), std::string::npos);
  for (const std::string& svg : {pictures[0].wide, pictures[0].narrow}) {
    EXPECT_TRUE(svg.starts_with("<svg"));
    EXPECT_NE(svg.find("var(--blue)"), std::string::npos) << "colours of the palette are the page's";
    EXPECT_NE(svg.find("#123456"), std::string::npos) << "others stay";
    for (const char* word : {" id=", "<?xml", "<defs", "<script", "font-family"})
      EXPECT_EQ(svg.find(word), std::string::npos) << word;
  }
}

// Whatever stands in a label, it is drawn: nothing is substituted, run, or taken for markup.
TEST(Gnuplot, LabelsAreOnlyTexts) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not there: apt-get install gnuplot-nox";
  const std::string file = (std::filesystem::temp_directory_path() / "headroom_gnuplot_test").string();
  std::filesystem::remove(file);
  for (const std::string& text :
       {"`touch " + file + "`", "';system 'touch " + file + "'", "'\nsystem 'touch " + file + "'\n",
        std::string("@x $y {/=99 big} \\101 %s %d"), std::string("</text><script>alert(1)</script>"),
        std::string("rgb(1 rgb( <g a>"), std::string("\" onload=\"x")}) {
    const PlotScript script{"$d << END\n0 1\n1 2\nEND\n", "set xlabel " + plot_text(text) + "\nset xtics (" +
                                                              plot_tic(text) + " 0)\nplot $d using 1:2 with lines"};
    const std::vector<Picture> pictures = draw(std::vector{script});
    EXPECT_EQ(pictures[0].wide.find("<script"), std::string::npos) << text;
    EXPECT_FALSE(std::filesystem::exists(file)) << text;
  }
}

TEST(Gnuplot, ScriptsThatFailSaySo) {
  if (!has_gnuplot()) GTEST_SKIP() << "gnuplot is not there: apt-get install gnuplot-nox";
  EXPECT_THROW(draw(std::vector{PlotScript{"", "plot nothing_like_this"}}), PlotError);
  EXPECT_TRUE(draw({}).empty());
}

TEST(Charts, TicsOfTimeAreRoundInTheirUnits) {
  EXPECT_EQ(time_tics(0.005, 0.3), "('10 ms' 0.01, '100 ms' 0.1)");
  EXPECT_EQ(time_tics(0.9, 9), "('1 s' 1, '2 s' 2, '5 s' 5)");
  EXPECT_EQ(time_tics(1, 40000), "('1 s' 1, '10 s' 10, '1 min' 60, '10 min' 600, '1 h' 3600, '10 h' 36000)");
  EXPECT_EQ(time_tics(0.0031, 0.0032), "autofreq");
}

}  // namespace
}  // namespace headroom
