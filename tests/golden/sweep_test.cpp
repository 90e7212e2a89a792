// headroom sweep from outside: the same content however the points are spread, after kill -9, and with points that
// fail.
#include <gtest/gtest.h>
#include <signal.h>
#include <sqlite3.h>

#include <chrono>
#include <functional>
#include <thread>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

const std::string kSweeps = HEADROOM_SOURCE_DIR "/tests/golden/sweeps/";

// Rows of a query as text, columns separated by '|', rows by newlines.
std::string query(const std::string& file, const std::string& sql) {
  sqlite3* db = nullptr;
  EXPECT_EQ(sqlite3_open_v2(file.c_str(), &db, SQLITE_OPEN_READWRITE, nullptr), SQLITE_OK) << file;
  sqlite3_busy_timeout(db, 10'000);
  sqlite3_stmt* rows = nullptr;
  EXPECT_EQ(sqlite3_prepare_v2(db, sql.c_str(), -1, &rows, nullptr), SQLITE_OK) << sqlite3_errmsg(db);
  std::string text;
  while (sqlite3_step(rows) == SQLITE_ROW) {
    for (int i = 0; i < sqlite3_column_count(rows); ++i) {
      const auto* cell = reinterpret_cast<const char*>(sqlite3_column_text(rows, i));
      text += std::string(i > 0 ? "|" : "") + (cell != nullptr ? cell : "null");
    }
    text += "\n";
  }
  sqlite3_finalize(rows);
  sqlite3_close(db);
  return text;
}

std::string content(const std::string& file) {
  return query(file, "select * from sweep") + query(file, "select * from axis order by id") +
         query(file, "select * from axis_value order by axis, position") +
         query(file, "select * from point order by id") + query(file, "select * from scenario order by point");
}

// A sweep in the background; `run` is its process, so that it can be killed.
pid_t start(const std::vector<std::string>& words) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  std::vector<char*> argv{const_cast<char*>(HEADROOM_BINARY)};
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  std::freopen("/dev/null", "w", stdout);
  execv(HEADROOM_BINARY, argv.data());
  _exit(127);
}
int code_of(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(Sweep, SameContentForAnyNumberOfJobs) {
  const Scratch scratch;
  for (const char* name : {"small", "closed-loop"}) {
    const std::string command = "sweep " + kSweeps + name + ".yaml --quiet --db ";
    ASSERT_EQ(headroom(command + (scratch / name) + ".1 --jobs 1").code, 0);
    ASSERT_EQ(headroom(command + (scratch / name) + ".2 --jobs 2").code, 0);
    ASSERT_EQ(headroom(command + (scratch / name) + ".5 --jobs 5").code, 0);
    const std::string one = content(scratch / (name + std::string(".1")));
    EXPECT_EQ(one, content(scratch / (name + std::string(".2"))));
    EXPECT_EQ(one, content(scratch / (name + std::string(".5"))));
    EXPECT_GT(one.size(), 10'000U);
  }
}

TEST(Sweep, SameContentUnderMpirun) {
  if (headroom("--version").out.find("MPI") != std::string::npos) GTEST_SKIP() << "built without MPI";
  if (std::system("mpirun --version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no mpirun here";
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
  const Scratch scratch;
  for (const char* name : {"small", "closed-loop"}) {
    const std::string command = "sweep " + kSweeps + name + ".yaml --quiet --db ", file = scratch / name;
    ASSERT_EQ(headroom(command + file + ".1 --jobs 1").code, 0);
    for (const char* ranks : {"1", "3"}) {
      const std::string under = file + ".mpi" + ranks;
      const std::string line =
          std::string("timeout 100 mpirun -n ") + ranks + " " + HEADROOM_BINARY + " " + command + under + " >/dev/null";
      ASSERT_EQ(std::system(line.c_str()), 0);
      EXPECT_EQ(content(file + ".1"), content(under)) << ranks;
    }
  }
}

TEST(Sweep, GoesOnAfterKillAtAnyMoment) {
  const Scratch scratch;
  const std::string whole = scratch / "whole", killed = scratch / "killed";
  const std::string file = kSweeps + "closed-loop.yaml";
  ASSERT_EQ(headroom("sweep " + file + " --quiet --db " + whole).code, 0);
  int kills = 0, midway = 0;
  for (int moment = 0; moment < 60; ++moment) {  // later and later, from before main() to after the last point
    const pid_t pid = start({"sweep", file, "--quiet", "--jobs", "2", "--resume", "--db", killed});
    std::this_thread::sleep_for(std::chrono::milliseconds(20 + 4 * moment));
    kill(pid, SIGKILL);
    if (code_of(pid) == -1) ++kills;
    if (!std::filesystem::exists(killed)) continue;
    const int there = std::stoi(query(killed, "select count(*) from point"));
    midway += there > 0 && there < 8 ? 1 : 0;
    if (there == 8) std::filesystem::remove(killed);
  }
  EXPECT_GT(kills, 0);
  ASSERT_EQ(headroom("sweep " + file + " --quiet --resume --db " + killed).code, 0);
  EXPECT_EQ(content(whole), content(killed));
  ::testing::Test::RecordProperty("midway", midway);
}

// What kills one point (memory, say) must not take the others with it.
TEST(Sweep, AWorkerThatDiesCostsOnePoint) {
  const Scratch scratch;
  const std::string db = scratch / "db";
  const pid_t pid = start(
      {"sweep", kSweeps + "small.yaml", "--quiet", "--jobs", "1", "--set", "workload.requests=20000", "--db", db});
  const std::string children = "/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children";
  const auto wait_for = [](const std::function<bool()>& seen) {
    for (int i = 0; i < 20'000 && !seen(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  wait_for([&] { return std::filesystem::exists(db); });
  wait_for([&] { return query(db, "select count(*) from point") != "0\n"; });
  std::this_thread::sleep_for(std::chrono::milliseconds(5));  // it has its next order
  const std::string worker = text_of_file(children);
  ASSERT_FALSE(worker.empty());
  kill(std::stoi(worker), SIGKILL);
  EXPECT_EQ(code_of(pid), 0);
  EXPECT_EQ(query(db, "select count(*) from point"), "16\n");
  EXPECT_EQ(query(db, "select message from point where status = 'failed'"), "its process ended by signal 9 (Killed)\n");
}

TEST(Sweep, InterruptedItSaysHowToGoOn) {
  const Scratch scratch;
  const std::string db = scratch / "db", err = scratch / "err", file = kSweeps + "small.yaml";
  const std::string line = std::string(HEADROOM_BINARY) + " sweep " + file + " --db " + db + " 2>" + err +
                           " & pid=$!; " + "while [ ! -s " + db +
                           " ]; do sleep 0.005; done; kill -TERM $pid; wait $pid";
  const int status = std::system(("exec timeout 60 bash -c '" + line + "'").c_str());
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 0) GTEST_SKIP() << "all points were done before the signal came";
  EXPECT_EQ(WEXITSTATUS(status), 3);
  EXPECT_NE(text_of_file(err).find(" --resume"), std::string::npos);
  EXPECT_EQ(headroom("sweep " + file + " --db " + db + " --resume").code, 0);
  EXPECT_EQ(query(db, "select count(*) from point"), "16\n");
}

TEST(Sweep, APointThatCannotRunIsRecorded) {
  const Scratch scratch;
  const std::string db = scratch / "db";
  const Said s = headroom("sweep " + kSweeps + "small.yaml --db " + db);
  EXPECT_EQ(s.code, 0);
  EXPECT_NE(s.out.find("16 points"), std::string::npos);
  EXPECT_EQ(query(db, "select count(*) from point where status = 'done' and latency_ttft_s_p99 > 0"), "16\n");

  const std::string sweep = scratch / "large.yaml";
  std::ofstream(sweep) << "scenario: one-gpu-poisson\nset: {workload.requests: 20}\n"
                          "axes:\n  model: [llama-3.1-8b, llama-3.1-70b]\n  hardware: [h100-sxm, a10g]\n";
  const Said large = headroom("sweep " + sweep + " --db " + scratch / "large");
  EXPECT_EQ(large.code, 0);
  EXPECT_NE(large.out.find("2 failed"), std::string::npos);
  EXPECT_EQ(query(scratch / "large", "select id, model, hardware, status, latency_ttft_s_p99 is null from point"),
            "0|llama-3.1-8b|h100-sxm|done|0\n1|llama-3.1-8b|a10g|done|0\n"
            "2|llama-3.1-70b|h100-sxm|failed|1\n3|llama-3.1-70b|a10g|failed|1\n");
  EXPECT_NE(query(scratch / "large", "select message from point where id = 3").find("does not fit"), std::string::npos);
}

TEST(Sweep, ThePointsScenarioGivesTheRowAgain) {
  const Scratch scratch;
  const std::string db = scratch / "db", again = scratch / "again.yaml";
  ASSERT_EQ(headroom("sweep " + kSweeps + "closed-loop.yaml --quiet --db " + db).code, 0);
  std::ofstream(again) << query(db, "select resolved from scenario where point = 7");
  ASSERT_EQ(headroom("run " + again + " --quiet --json --out " + scratch / "out").code, 0);
  const std::string summary = text_of_file(scratch / "out/summary.json");
  const std::string p99 = query(db, "select printf('%!.17g', latency_e2el_s_p99) from point where id = 7");
  const std::size_t at = summary.find("\"p99\"", summary.find("e2el_s"));
  EXPECT_EQ(std::stod(summary.substr(summary.find(':', at) + 1)), std::stod(p99));
}

TEST(Sweep, SettingsLieOverTheScenarioAndUnderTheAxes) {
  const Scratch scratch;
  const std::string db = scratch / "db", sweep = "sweep " + kSweeps + "small.yaml --quiet --db " + db;
  ASSERT_EQ(headroom(sweep + " --set workload.requests=30 --set engine.block_size=64").code, 0);
  EXPECT_EQ(query(db, "select distinct requests_submitted, \"engine.block_size\" from point"), "30|16\n30|32\n");
  EXPECT_EQ(headroom(sweep + " --resume").code, 2);  // without them it would be another sweep
  EXPECT_EQ(headroom("sweep " + kSweeps + "small.yaml --db " + scratch / "no" + " --set engine.block_sise=1").code, 2);
}

TEST(Sweep, ADatabaseOfSomethingElseIsRefused) {
  const Scratch scratch;
  const std::string db = scratch / "db", other = scratch / "other";
  const std::string sweep = "sweep " + kSweeps + "small.yaml --quiet --db ";
  ASSERT_EQ(headroom(sweep + db).code, 0);
  EXPECT_EQ(headroom(sweep + db).code, 2);
  EXPECT_EQ(headroom(sweep + db + " --resume").code, 0);
  const Said changed = headroom("sweep " + kSweeps + "closed-loop.yaml --resume --db " + db);
  EXPECT_EQ(changed.code, 2);
  EXPECT_NE(changed.err.find("has changed"), std::string::npos) << changed.err;
  std::ofstream(other) << "not a database, but long enough to be taken for one by somebody in a hurry\n";
  EXPECT_EQ(headroom(sweep + other + " --resume").code, 2);
  EXPECT_EQ(headroom(sweep + scratch / "new" + " --jobs 0").code, 2);
  EXPECT_FALSE(std::filesystem::exists(scratch / "new"));
  EXPECT_EQ(headroom("sweep " + kSweeps + "small.yaml").code, 2);
}

}  // namespace
}  // namespace headroom::testing
