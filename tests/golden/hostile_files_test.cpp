// Files of strangers: they reach only what the user allows, no shell, and no mark-up of a page, and have limits of
// size.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;

std::string with(std::string text, const std::string& from, const std::string& to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, text.find('\n', at) - at, to);
}

// "1, 2, ... n"
std::string numbers_to(int n) {
  std::string text = "1";
  for (int i = 2; i <= n; ++i) text += ", " + std::to_string(i);
  return text;
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

// What a sweep or an import leads to is a file's word as well; a report reads what the folders of runs name.
TEST_F(HostileFiles, ReachNoFurtherByWayOfOtherFiles) {
  const auto said = [&](const std::string& arguments) {
    return shell("HEADROOM_FILES_UNDER=" + scratch_ / "inside" + " " HEADROOM_BINARY " " + arguments);
  };
  write("outside/s.yaml", text_of_file(scenario("opt-1.3b", kPlain)));
  write("inside/over.yaml", "scenario: ../outside/s.yaml\naxes: {engine.max_num_seqs: [1, 2]}\n");
  write("inside/axis.yaml", "scenario: s.yaml\naxes: {model: [opt-1.3b, ../outside/model.yaml]}\n");
  write("inside/log.txt",
        "INFO 08-01 10:00:01 llm_engine.py:176] Initializing an LLM engine (v0.5.3) with config: model='" +
            scratch_ / "outside/model.yaml" + "', dtype=torch.float16, tensor_parallel_size=1)\n");
  for (const std::string& command : {"sweep " + scratch_ / "inside/over.yaml" + " --db " + scratch_ / "x.sqlite",
                                     "sweep " + scratch_ / "inside/axis.yaml" + " --db " + scratch_ / "x.sqlite",
                                     "import " + scratch_ / "inside/log.txt" + " --hardware l4"}) {
    const Said s = said(command);
    EXPECT_EQ(s.code, 2) << command;
    EXPECT_NE(s.err.find("lies outside of HEADROOM_FILES_UNDER"), std::string::npos) << s.err;
  }
  EXPECT_FALSE(fs::exists(scratch_ / "x.sqlite"));
  const std::string card = scratch_ / "outside/card.yaml";
  write("outside/card.yaml", text_of_file(HEADROOM_SOURCE_DIR "/configs/hardware/l4.yaml"));
  write("inside/s.yaml", with(text_of_file(scratch_ / "inside/s.yaml"), "hardware:", "hardware: " + card));
  ASSERT_EQ(headroom("run --quiet " + scratch_ / "inside/s.yaml" + " --out " + scratch_ / "inside/run").code, 0);
  const Said report = said("report " + scratch_ / "inside/run" + " --out " + scratch_ / "page.html");
  if (report.code == 3 && report.err.find("gnuplot-nox") != std::string::npos) GTEST_SKIP() << "no gnuplot";
  EXPECT_EQ(report.code, 0) << report.err;
  EXPECT_NE(text_of_file(scratch_ / "page.html").find("lies outside of HEADROOM_FILES_UNDER"), std::string::npos);
}

TEST_F(HostileFiles, NamesDoNotLeadOutOfTheFolderOfResults) {
  for (const std::string& name : {std::string("../x"), scratch_ / "x", std::string(".."), std::string("a/b"),
                                  std::string("~"), std::string("a\\nb")}) {
    const std::string file = scenario("opt-1.3b", kPlain + ("variants: {\"" + name + "\": {}, b: {}}\n"));
    const Said s = headroom("run --quiet " + file + " --out " + scratch_ / "results/run");
    EXPECT_EQ(s.code, 2) << name;
    EXPECT_NE(s.err.find("names a folder of results"), std::string::npos) << s.err;
  }
  EXPECT_FALSE(fs::exists(scratch_ / "results"));
  write("inside/s.yaml", "name: ../../x\n" + text_of_file(scenario("opt-1.3b", kPlain)));
  EXPECT_EQ(headroom("run --quiet " + scratch_ / "inside/s.yaml" + " --out " + scratch_ / "results/run").code, 0);
  EXPECT_EQ(std::distance(fs::directory_iterator(scratch_ / "results"), {}), 1);
}

// A link in the place of an output is replaced; what it leads to stays as it is.
TEST_F(HostileFiles, OutputsAreNotWrittenThroughLinks) {
  fs::create_directories(scratch_ / "run");
  write("outside/precious", "as it was");
  for (const char* file : {"summary.json", "requests.csv", "timeline.csv", "scenario.yaml"})
    fs::create_symlink(scratch_ / "outside/precious", scratch_ / "run/" + file);
  const std::string file = scenario("opt-1.3b", kPlain);
  ASSERT_EQ(headroom("run --quiet " + file + " --out " + scratch_ / "run").code, 0);
  EXPECT_FALSE(fs::is_symlink(scratch_ / "run/summary.json"));
  // The name it has until it is whole holds the process's number, which is known when the shell becomes the program.
  const Said s = shell("ln -s " + scratch_ / "outside/precious " +
                       scratch_ / "trace.json.$BASHPID.tmp; exec " HEADROOM_BINARY " run --quiet " + file +
                       " --trace " + scratch_ / "trace.json");
  EXPECT_EQ(s.code, 0) << s.err;
  EXPECT_EQ(text_of_file(scratch_ / "outside/precious"), "as it was");
}

TEST_F(HostileFiles, HaveLimitsOfSize) {
  const std::string plain = text_of_file(scenario("opt-1.3b", kPlain));
  const std::string sweep = "scenario: s.yaml\n";
  const std::string model = text_of_file(HEADROOM_SOURCE_DIR "/configs/models/opt-1.3b.yaml");
  struct Case {
    const char* command;
    std::string file, text, error;
  };
  const std::string points = "axes: {engine.max_num_seqs: [" + numbers_to(300) + "], workload.requests: [" +
                             numbers_to(300) + "], workload.prompt_tokens: [" + numbers_to(300) + "]}\n";
  const Case cases[] = {
      {"check", "a.yaml", plain + "#" + std::string(4 << 20, ' ') + "\n", "larger than 4 MiB"},
      {"check", "a.yaml", plain + "x: [" + numbers_to(200'000) + "]\n", "more than 200000 values"},
      {"check", "a.yaml", plain + "x: " + std::string(40, '[') + std::string(40, ']'),
       "nested more than 32 levels deep"},
      {"check", "a.yaml", plain + "x: &a 1\ny: *a\n", "alias"},
      {"check", "m.yaml", with(model, "num_hidden_layers:", "num_hidden_layers: 100000000"), "expected at most 1e+15"},
      {"sweep", "a.yaml", sweep + "axes: {engine.max_num_seqs: [" + numbers_to(10'001) + "]}\n",
       "10001 values; expected at most 10000"},
      {"sweep", "a.yaml", sweep + "axes: {workload.requests: {from: 1, to: 20000, points: 10001}}\n", "10001"},
      {"sweep", "a.yaml", sweep + "axes: {workload.prompt_tokens: {from: 1, to: 1e19, points: 3}}\n", "1e-18"},
      {"sweep", "a.yaml", sweep + points, "expected at most 10000000"}};
  for (const Case& c : cases) {
    write("inside/" + c.file, c.text);
    const Said s = headroom(std::string(c.command) + " " + scratch_ / "inside/" + c.file +
                            (std::string(c.command) == "sweep" ? " --db " + scratch_ / "x.sqlite" : ""));
    EXPECT_EQ(s.code, 2) << c.error;
    EXPECT_NE(s.err.find(c.error), std::string::npos) << s.err;
  }
  EXPECT_FALSE(fs::exists(scratch_ / "x.sqlite"));
  ASSERT_EQ(headroom("run --quiet " + scenario("opt-1.3b", kPlain) + " --out " + scratch_ / "run").code, 0);
  for (const auto& [text, error] :
       {std::pair{"{\"x\": \"" + std::string(16 << 20, 'x') + "\"}", "larger than 16 MiB"},
        std::pair{std::string(40, '[') + std::string(40, ']'), "nested more than 32 levels deep"}}) {
    write("run/summary.json", text);
    const Said s = headroom("report " + scratch_ / "run" + " --out " + scratch_ / "page.html");
    EXPECT_EQ(s.code, 2);
    EXPECT_NE(s.err.find(error), std::string::npos) << s.err;
  }
}

// A database is a program too: a view in the place of a table may never end, a trigger may write.
TEST_F(HostileFiles, ADatabasesOwnProgramsAreNotRun) {
  scenario("opt-1.3b", kPlain);
  write("inside/sweep.yaml", "scenario: s.yaml\naxes: {engine.max_num_seqs: [1, 2]}\n");
  const std::string sweep = "sweep --quiet " + scratch_ / "inside/sweep.yaml" + " --db " + scratch_ / "x.sqlite";
  const auto execute = [&](const char* sql) {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open((scratch_ / "x.sqlite").c_str(), &db), SQLITE_OK);
    EXPECT_EQ(sqlite3_exec(db, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
    sqlite3_close(db);
  };
  const auto refused = [&](const std::string& arguments) {
    const Said s = shell("timeout 20 " HEADROOM_BINARY " " + arguments);
    return s.code == 2 || s.code == 3;
  };
  const std::string report = "report " + scratch_ / "x.sqlite" + " --out " + scratch_ / "page.html";
  ASSERT_EQ(headroom(sweep).code, 0);
  execute(
      "create trigger t after insert on point begin delete from axis; end; delete from scenario; delete from point");
  EXPECT_EQ(headroom(sweep + " --resume").code, 0);
  execute("create table one(n check (n = 1)); insert into one select count(*) from axis");  // the trigger stood still
  execute("drop trigger t; update sweep set definition = zeroblob(67108865)");
  EXPECT_TRUE(refused(report)) << "a value of more than 64 MiB";
  fs::remove(scratch_ / "x.sqlite");
  ASSERT_EQ(headroom(sweep).code, 0);
  execute(
      "alter table axis rename to a; create view axis as with recursive n as (select * from a union all select * "
      "from n) select * from n");
  EXPECT_TRUE(refused(report)) << "a view";
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
