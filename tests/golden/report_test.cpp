// The report as a user gets it: from the command line, and in a real browser where there is one.
#include <gtest/gtest.h>

#include <algorithm>
#include <regex>

#include "tests/support/browser.h"
#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;
const std::string kScenarios = HEADROOM_SOURCE_DIR "/configs/scenarios/";
constexpr const char* kHostile = "<script>throw Error(1)</script><img src=x onerror=throw>'\"`id`$(id)\\ {/=9 %s}";

// Runs and a sweep whose names would do harm if a text were taken for more than a text.
class Report : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    scratch_ = new Scratch;
    std::ofstream(*scratch_ / "s.yaml")
        << "name: \"" << escaped_for_yaml(kHostile)
        << "\"\nmodel: opt-1.3b\nhardware: l4\nslo: {ttft: 1 s, tpot: 50 ms}\n"
           "workload: {requests: 200, arrivals: {process: poisson, rate: 4/s}, prompt_tokens: 200, "
           "output_tokens: {distribution: uniform, min: 5, max: 200}}\n"
           "variants: {small: {engine: {preset: vllm-v0, block_size: 8}}, large: {engine: {preset: vllm-v0, "
           "block_size: 32}}}\n";
    std::ofstream(*scratch_ / "sweep.yaml")
        << "name: \"" << escaped_for_yaml(kHostile) << "\"\nscenario: one.yaml\naxes:\n  engine: {named: {\""
        << escaped_for_yaml(kHostile)
        << "\": {preset: vllm-v0}, plain: {preset: vllm-v1-2025}}}\n  workload.arrivals.rate: [1/s, 4/s]\n"
           "  model: [opt-1.3b, llama-2-70b]\n";
    std::ofstream(*scratch_ / "one.yaml")
        << "model: opt-1.3b\nhardware: l4\nengine: {preset: vllm-v0}\n"
           "workload: {requests: 50, arrivals: {process: poisson, rate: 4/s}, prompt_tokens: 100, output_tokens: 50}\n";
    ASSERT_EQ(headroom("run " + *scratch_ / "s.yaml --quiet --out " + *scratch_ / "runs").code, 0);
    const Said sweep = headroom("sweep " + *scratch_ / "sweep.yaml --quiet --db " + *scratch_ / "sweep.sqlite");
    ASSERT_EQ(sweep.code, 0) << sweep.err;
    const Said runs = headroom("report " + *scratch_ / "runs --out " + *scratch_ / "runs.html");
    if (runs.code == 3 && runs.err.find("gnuplot-nox") != std::string::npos) return;  // each test says so
    ASSERT_EQ(runs.code, 0) << runs.err;
    const Said page = headroom("report " + *scratch_ / "sweep.sqlite --out " + *scratch_ / "sweep.html");
    ASSERT_EQ(page.code, 0) << page.err;
  }
  static void TearDownTestSuite() {
    delete scratch_;
    scratch_ = nullptr;
  }
  void SetUp() override {
    if (!fs::exists(*scratch_ / "runs.html")) GTEST_SKIP() << "gnuplot is not there: apt-get install gnuplot-nox";
  }
  static std::string escaped_for_yaml(const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '"' || c == '\\' ? std::string("\\") + c : std::string(1, c);
    return out;
  }
  static inline Scratch* scratch_ = nullptr;
};

TEST_F(Report, OneFileWithAllSectionsAndNothingToFetch) {
  const std::string page = text_of_file(*scratch_ / "runs.html");
  for (const char* id :
       {"answer", "differences", "memory", "latency", "queues", "time", "requests", "sources", "scenario"})
    EXPECT_NE(page.find(std::string("<section id=\"") + id + "\""), std::string::npos) << id;
  EXPECT_NE(page.find("How sure: datasheet"), std::string::npos) << "the first screen says what the numbers rest on";
  EXPECT_NE(page.find("One input differs, <code>engine.block_size</code>"), std::string::npos);
  EXPECT_NE(page.find("less what the driver keeps. Assumed"), std::string::npos)
      << "the profile's facts come with their sources";
  for (const char* fetch : {"src=\"http", "href=\"http", "url(", "@import", "<script src", "<link rel=\"stylesheet"})
    EXPECT_EQ(page.find(fetch), std::string::npos) << fetch;
  EXPECT_EQ(page.find("<script>throw"), std::string::npos);
  EXPECT_EQ(page.find("<img"), std::string::npos);
  EXPECT_EQ(text_of_file(*scratch_ / "sweep.html").find("<script>throw"), std::string::npos);
}

TEST_F(Report, SameRunsSameBytes) {
  ASSERT_EQ(headroom("report " + *scratch_ / "runs --out " + *scratch_ / "again.html").code, 0);
  EXPECT_EQ(text_of_file(*scratch_ / "runs.html"), text_of_file(*scratch_ / "again.html"));
}

TEST_F(Report, TwoFoldersSideBySide) {
  ASSERT_EQ(headroom("run " + *scratch_ / "one.yaml --quiet --intervals --out " + *scratch_ / "a").code, 0);
  ASSERT_EQ(headroom("run " + *scratch_ / "one.yaml --quiet --set hardware=l40s --out " + *scratch_ / "b").code, 0);
  ASSERT_EQ(headroom("report " + *scratch_ / "a " + *scratch_ / "b --out " + *scratch_ / "ab.html").code, 0);
  const std::string page = text_of_file(*scratch_ / "ab.html");
  EXPECT_NE(page.find("One input differs, <code>hardware</code>"), std::string::npos);
  EXPECT_NE(page.find("better</td>"), std::string::npos);
  EXPECT_TRUE(std::regex_search(page, std::regex("<dt>requests/s</dt><dd>[0-9.]+ <small>[0-9.]+ to [0-9.]+</small>")))
      << "a run's intervals stand beside its figures";
  EXPECT_NE(page.find("NVIDIA L40S"), std::string::npos);
  EXPECT_NE(page.find("NVIDIA L4<"), std::string::npos) << "both cards' sources are there";
}

// The row of the page for an input, without its tags.
std::string attribution_of(const std::string& page, const std::string& input) {
  std::smatch found;
  const std::string part = page.substr(std::min(page.find("What each input does alone"), page.size()));
  if (!std::regex_search(part, found, std::regex("<tr><t[hd][^>]*>" + input + ".*?</tr>"))) return "";
  return std::regex_replace(found.str(), std::regex("<[^>]*>"), "|");
}

TEST_F(Report, SaysWhatEachInputDoesAlone) {
  const auto run = [&](const std::string& folder, const std::string& settings) {
    return headroom("run " + *scratch_ / "one.yaml --quiet --out " + *scratch_ / folder + settings).code;
  };
  ASSERT_EQ(run("c", " --set 'slo.ttft=1 s'"), 0);
  ASSERT_EQ(run("d", " --set hardware=l40s --set 'slo.ttft=2 s'"), 0);
  ASSERT_EQ(run("d-hardware", " --set hardware=l40s --set 'slo.ttft=1 s'"), 0);
  ASSERT_EQ(run("e", " --set hardware=l40s --set engine.preset=hf-generate --set 'slo.ttft=1 s'"), 0);
  const auto page = [&](const std::string& first, const std::string& second) {
    EXPECT_EQ(
        headroom("report " + *scratch_ / first + " " + *scratch_ / second + " --out " + *scratch_ / "x.html").code, 0);
    return text_of_file(*scratch_ / "x.html");
  };
  const std::string both = page("c", "d");
  const std::string bound = attribution_of(both, "<code>slo.ttft</code>");
  const std::regex same("no change");
  EXPECT_EQ(std::distance(std::sregex_iterator(bound.begin(), bound.end(), same), {}), 6) << bound;
  const std::string card = attribution_of(both, "<code>hardware</code> l4 → l40s"),
                    all = attribution_of(both, "<b>all");
  ASSERT_NE(card, "");
  EXPECT_EQ(card.substr(card.find("l40s") + 6), all.substr(all.find("them") + 7)) << "the other input does nothing";
  EXPECT_EQ(page("c", "d-hardware").find("What each input does alone"), std::string::npos) << "it is said above";
  EXPECT_NE(attribution_of(page("c", "e"), "<code>engine</code> vllm-v0 → hf-generate"), "")
      << "keys of another preset change as one";
}

TEST_F(Report, WrongInputsWriteNothing) {
  const std::string out = " --out " + *scratch_ / "none.html";
  EXPECT_EQ(headroom("report" + out).code, 2);
  EXPECT_EQ(headroom("report " + *scratch_ / "runs").code, 2);
  EXPECT_EQ(headroom("report " + *scratch_ / "nowhere" + out).code, 2);
  EXPECT_EQ(headroom("report " + *scratch_ / "s.yaml" + out).code, 2) << "no database";
  fs::create_directories(*scratch_ / "empty");
  EXPECT_EQ(headroom("report " + *scratch_ / "empty" + out).code, 2);
  for (const char* file : {"summary.json", "requests.csv", "timeline.csv", "scenario.yaml"}) {
    fs::remove_all(*scratch_ / "cut");
    fs::copy(*scratch_ / "runs/small", *scratch_ / "cut");
    fs::resize_file(*scratch_ / "cut/" + file, fs::file_size(*scratch_ / "cut/" + file) / 2);
    const Said cut = headroom("report " + *scratch_ / "cut" + out);
    EXPECT_EQ(cut.code, 2) << file;
    EXPECT_NE(cut.err.find(file), std::string::npos) << cut.err;
  }
  fs::copy_file(*scratch_ / "sweep.sqlite", *scratch_ / "cut.sqlite");
  fs::resize_file(*scratch_ / "cut.sqlite", fs::file_size(*scratch_ / "cut.sqlite") / 2);
  EXPECT_EQ(headroom("report " + *scratch_ / "cut.sqlite" + out).code, 2);
  EXPECT_FALSE(fs::exists(*scratch_ / "none.html"));
}

TEST_F(Report, WithoutGnuplotItSaysWhatToInstall) {
  const std::string out = *scratch_ / "none.html", err = *scratch_ / "err";
  const int status = std::system(
      ("PATH=/nowhere " HEADROOM_BINARY " report " + *scratch_ / "runs --out " + out + " 2>" + err).c_str());
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_NE(text_of_file(err).find("gnuplot-nox"), std::string::npos);
  EXPECT_FALSE(fs::exists(out));
}

TEST_F(Report, InABrowser) {
  if (!Browser::is_there()) GTEST_SKIP() << "chromium is not there: apt-get install chromium";
  Browser browser;
  for (const char* name : {"runs.html", "sweep.html"})
    for (const int width : {1280, 360}) {
      SCOPED_TRACE(std::string(name) + " at " + std::to_string(width));
      browser.open(*scratch_ / name, width, 800);
      EXPECT_EQ(browser.complaints(), std::vector<std::string>{});
      for (const std::string& url : browser.requests())
        EXPECT_TRUE(url == "file://" + *scratch_ / name || url.starts_with("data:")) << url;
      EXPECT_EQ(browser.value_of("document.querySelector('h1').textContent"), kHostile) << "a name is a text";
      EXPECT_EQ(browser.value_of("document.scripts.length"), 1);
      EXPECT_LE(browser.value_of("document.documentElement.scrollWidth").get<int>(), width) << "no sideways scrolling";
      // Every picture that shows has a size and draws something; of each pair one shows.
      const std::string shown =
          "[...document.querySelectorAll('figure svg')].filter(s => s.getBoundingClientRect().width > 0)";
      EXPECT_GT(browser.value_of(shown + ".length").get<int>(), 5);
      EXPECT_EQ(browser.value_of(shown + ".length * 2"),
                browser.value_of("document.querySelectorAll('figure svg').length"));
      EXPECT_EQ(
          browser.value_of(shown + ".filter(s => s.querySelectorAll('path,polygon,polyline,text').length < 5).length"),
          0);
      EXPECT_EQ(browser.value_of(shown + "[0].closest('div').className"), width < 600 ? "narrow" : "wide");
      EXPECT_EQ(browser.value_of("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size"),
                browser.value_of("document.querySelectorAll('[id]').length"))
          << "ids are unique";
    }
}

TEST_F(Report, TablesSortInABrowser) {
  if (!Browser::is_there()) GTEST_SKIP() << "chromium is not there: apt-get install chromium";
  Browser browser;
  browser.open(*scratch_ / "sweep.html", 1280, 800);
  const std::string table = "document.querySelector('#points table')";
  browser.value_of("window.column = [..." + table +
                   ".tHead.rows[0].cells].findIndex(c => c.textContent.includes('output tokens/s'))");
  const std::string values = "[..." + table + ".tBodies[0].rows].map(r => +r.cells[column].dataset.v)";
  const auto click = [&] { browser.value_of(table + ".tHead.rows[0].cells[column].querySelector('button').click()"); };
  const std::vector<double> before = browser.value_of(values);
  ASSERT_GE(before.size(), 4U);
  std::vector<double> sorted = before;
  std::sort(sorted.begin(), sorted.end());
  click();
  EXPECT_EQ(browser.value_of(values).get<std::vector<double>>(), sorted);
  EXPECT_EQ(browser.value_of(table + ".tHead.rows[0].cells[column].getAttribute('aria-sort')"), "ascending");
  std::reverse(sorted.begin(), sorted.end());
  click();
  EXPECT_EQ(browser.value_of(values).get<std::vector<double>>(), sorted);
  EXPECT_EQ(browser.complaints(), std::vector<std::string>{});
}

}  // namespace
}  // namespace headroom::testing
