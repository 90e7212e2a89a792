// Files of strangers: they reach only what the user allows, no shell, and no mark-up of a page.
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, text.find('\n', at) - at, to);
}

class HostileFiles : public ::testing::Test {
 protected:
  HostileFiles() {
    fs::create_directories(scratch_ / "inside");
    fs::create_directories(scratch_ / "outside");
    const fs::path configs = HEADROOM_SOURCE_DIR "/configs";
    write("outside/model.yaml", text_of_file(configs / "models/opt-1.3b.yaml"));
    write("inside/model.yaml", text_of_file(configs / "models/opt-1.3b.yaml"));
    write("outside/trace.csv", "prompt_tokens,output_tokens\n10,20\n");
    fs::create_symlink("../outside/model.yaml", scratch_ / "inside/link.yaml");
  }
  void write(const std::string& name, const std::string& text) { std::ofstream(scratch_ / name) << text; }
  std::string scenario(const std::string& model, const std::string& workload) {
    write("inside/s.yaml", "model: " + model + "\nhardware: l4\nengine: {preset: vllm-v0}\nworkload: " + workload);
    return scratch_ / "inside/s.yaml";
  }
  Said check(const std::string& file, const std::string& more = "") {
    return shell("HEADROOM_FILES_UNDER=" + scratch_ / "inside" + " " HEADROOM_BINARY " check " + file + more);
  }

  static constexpr const char* kPlain =
      "{requests: 5, arrivals: {process: batch}, prompt_tokens: 10, output_tokens: 5}\n";
  Scratch scratch_;
};

TEST_F(HostileFiles, ReachWhatTheUserAllowsAndNoMore) {
  EXPECT_EQ(check(scenario("opt-1.3b", kPlain)).code, 0) << "the catalogue";
  EXPECT_EQ(check(scenario("model.yaml", kPlain)).code, 0) << "beside the scenario, in the folder";
  for (const std::string& model :
       {std::string("../outside/model.yaml"), std::string("link.yaml"), scratch_ / "outside/model.yaml"}) {
    const Said s = check(scenario(model, kPlain));
    EXPECT_EQ(s.code, 2) << model;
    EXPECT_NE(s.err.find("s.yaml:1:8: error: model: '" + model + "' lies outside of HEADROOM_FILES_UNDER"),
              std::string::npos)
        << s.err;
  }
  const Said trace = check(scenario("opt-1.3b",
                                    "{trace: {format: csv, path: ../outside/trace.csv}, requests: 1, "
                                    "arrivals: {process: batch}}\n"));
  EXPECT_EQ(trace.code, 2);
  EXPECT_NE(trace.err.find("lies outside of HEADROOM_FILES_UNDER"), std::string::npos) << trace.err;
  EXPECT_EQ(check(scenario("opt-1.3b", kPlain), " --set model=" + scratch_ / "outside/model.yaml").code, 0)
      << "what the user types is the user's own";
}

TEST_F(HostileFiles, NoDeviceAndNoPipeIsRead) {
  EXPECT_EQ(shell("mkfifo " + scratch_ / "inside/pipe.yaml").code, 0);
  EXPECT_EQ(check(scenario("pipe.yaml", kPlain)).code, 2);
  EXPECT_EQ(shell("timeout 20 " HEADROOM_BINARY " report /dev/zero --out " + scratch_ / "x.html").code, 2);
}

// Neither of C's doors to a shell is among what the program asks of the C library: gnuplot and the workers of a sweep
// are started by name, with their words apart.
TEST_F(HostileFiles, NoShellIsEverCalled) {
  const std::string program = text_of_file(HEADROOM_BINARY);
  EXPECT_NE(program.find(std::string("\0posix_spawnp\0", 14)), std::string::npos) << "names are found this way";
  EXPECT_EQ(program.find(std::string("\0system\0", 8)), std::string::npos);
  EXPECT_EQ(program.find(std::string("\0popen\0", 7)), std::string::npos);
}

TEST_F(HostileFiles, NamesOfModelsAndCardsAreTextInAPage) {
  const std::string script = "<script>throw 1;`id`<img src=x onerror=throw>";
  const fs::path configs = HEADROOM_SOURCE_DIR "/configs";
  write("inside/" + script + ".yaml", "name: \"" + script + "\"\n" + text_of_file(configs / "models/opt-1.3b.yaml"));
  write("inside/" + script + "card.yaml",
        with(text_of_file(configs / "hardware/l4.yaml"), "device:", "device: \"" + script + "\""));
  const std::string file = scenario("\"" + script + ".yaml\"", kPlain);
  write("inside/s.yaml", with(text_of_file(file), "hardware:", "hardware: \"" + script + "card.yaml\""));
  const Said run = headroom("run " + file + " --quiet --out " + scratch_ / "run");
  ASSERT_EQ(run.code, 0) << run.err;
  const Said report = headroom("report " + scratch_ / "run --out " + scratch_ / "page.html");
  if (report.code == 3 && report.err.find("gnuplot-nox") != std::string::npos) GTEST_SKIP() << "no gnuplot";
  ASSERT_EQ(report.code, 0) << report.err;
  const std::string page = text_of_file(scratch_ / "page.html");
  EXPECT_EQ(page.find("<script>throw"), std::string::npos);
  EXPECT_EQ(page.find("<img src=x"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;throw"), std::string::npos) << "the names are on the page";
}

}  // namespace
}  // namespace headroom::testing
