// Finds the command, and maps what went wrong to an exit code: 0 done, 1 an assertion the user asked for does not hold,
// 2 the input is wrong, 3 the run failed.
#include <fmt/core.h>
#ifdef __GLIBC__
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#include <cstdint>
#include <cstdio>
#include <exception>
#include <iostream>
#include <new>

#include "sim/commands/command.h"
#include "sim/config/errors.h"
#include "sim/numerics/tensor_file.h"
#include "sim/workload/trace_reader.h"

namespace {

int dispatch(const headroom::Words& words) {
  if (words.empty()) {
    fmt::print(stderr, "{}", headroom::usage_text());
    return 2;
  }
  if (words[0] == "--help" || words[0] == "help" || words[0] == "-h") {
    fmt::print("{}", headroom::usage_text());
    return 0;
  }
  if (words[0] == "--version") {
    fmt::print("{}", headroom::version_text());
    return 0;
  }
  if (const headroom::Command* command = headroom::command_named(words[0]))
    return headroom::run_command(*command, {words.begin() + 1, words.end()});
  std::vector<std::string_view> names;
  for (const headroom::Command* command : headroom::commands()) names.push_back(command->name);
  fmt::print(stderr, "headroom: error: no command '{}'{}\n", words[0], headroom::suggestion(words[0], names));
  return 2;
}

// The heap begins with 32 MiB of huge pages, where the system grants them to who asks, and keeps what it was given
// back: a run of 10,000 requests touched 2,000 small pages, a tenth of its time. Larger blocks are mapped on their own.
void prepare_heap() {
#ifdef __GLIBC__
  constexpr int kHeap = 32 << 20;
  constexpr std::uintptr_t kHugePage = 2 << 20;
  mallopt(M_MMAP_THRESHOLD, kHeap);
  mallopt(M_TRIM_THRESHOLD, 2 * kHeap);
  mallopt(M_TOP_PAD, kHeap);
  char* const begin = static_cast<char*>(sbrk(0));
  // The heap grows by more than it has. What lies before a whole huge page is never touched.
  constexpr std::uintptr_t kMore = 1 << 20;
  static void* const more = ::operator new(kMore, std::nothrow);
  char* const end = static_cast<char*>(sbrk(0));
  if (end == begin) {  // a limit on memory: it grows by little
    mallopt(M_TOP_PAD, 1 << 17);
    return;
  }
  madvise(begin, static_cast<std::size_t>(end - begin), MADV_HUGEPAGE);
  const std::uintptr_t used = (reinterpret_cast<std::uintptr_t>(more) + kMore) % kHugePage;
  static void* const rest = ::operator new(kHugePage - used, std::nothrow);
  static_cast<void>(rest);
#endif
}

// Done is only what has also gone out: a full disk behind standard output shows when it is flushed.
int once_printed(int code) {
  std::cout.flush();
  if (std::cout && std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return code;
  fmt::print(stderr, "headroom: error: standard output cannot be written\n");
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  prepare_heap();
  try {
    return once_printed(dispatch({argv + 1, argv + argc}));
  } catch (const headroom::ConfigError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const headroom::WorkloadError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const headroom::TensorFileError& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  } catch (const boost::program_options::error& error) {
    fmt::print(stderr, "headroom: error: {}\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    fmt::print(stderr, "headroom: error: {}\n", error.what());
    return 3;
  }
}
