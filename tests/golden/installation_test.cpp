// What `cmake --install` and `cpack` make, used as a user would.
#include <gtest/gtest.h>

#include "tests/support/program.h"

namespace headroom::testing {
namespace {

namespace fs = std::filesystem;

// Runs of an installed program: it finds the catalogue and the clock that were installed with it, and nothing else.
void expect_that_it_runs(const std::string& prefix) {
  const std::string program = "cd / && env -u HEADROOM_CONFIGS -u LD_LIBRARY_PATH " + prefix + "/bin/headroom ";
  const Said list = shell(program + "list models");
  EXPECT_EQ(list.code, 0) << list.err;
  EXPECT_EQ(list.out, headroom("list models").out);
  const Said run = shell(program + "run --quiet " + prefix + "/share/headroom/configs/scenarios/one-gpu-poisson.yaml" +
                         " --set workload.requests=50 --set cluster.replicas=2 --set cluster.router=least-outstanding");
  EXPECT_EQ(run.code, 0) << run.err;
}

TEST(Installation, UnderAPrefix) {
  const Scratch scratch;
  const Said install = shell("cmake --install " HEADROOM_BUILD_DIR " --prefix " + scratch / "usr");
  ASSERT_EQ(install.code, 0) << install.err;
  for (const char* file : {"share/man/man1/headroom.1", "share/bash-completion/completions/headroom",
                           "share/zsh/vendor-completions/_headroom", "share/headroom/scenario.schema.json",
                           "share/headroom/configs/traces/azure-conv-2023.csv.gz"})
    EXPECT_GT(fs::file_size(scratch / "usr/" + file), 100U) << file;
  expect_that_it_runs(scratch / "usr");
}

TEST(Installation, AsADebianPackage) {
  if (!has_program("dpkg-deb") || !has_program("dpkg-shlibdeps")) GTEST_SKIP() << "dpkg-dev is not there";
  const Scratch scratch;
  const Said pack = shell("cpack --config " HEADROOM_BUILD_DIR "/CPackConfig.cmake -B " + scratch / "pack");
  ASSERT_EQ(pack.code, 0) << pack.out << pack.err;
  const Said fields = shell("dpkg-deb -f " + scratch / "pack/headroom_*.deb" + " Package Depends Recommends");
  EXPECT_NE(fields.out.find("Package: headroom"), std::string::npos) << fields.out;
  EXPECT_NE(fields.out.find("libsimgrid"), std::string::npos) << fields.out;
  EXPECT_NE(fields.out.find("Recommends: gnuplot-nox"), std::string::npos) << fields.out;
  ASSERT_EQ(shell("dpkg-deb -x " + scratch / "pack/headroom_*.deb " + scratch / "root").code, 0);
  expect_that_it_runs(scratch / "root/usr");
}

}  // namespace
}  // namespace headroom::testing
