// The SQLite file of a sweep; configs/sweeps/README.md documents its tables. The only door to SQLite.
//
// The file is there with all of its tables or not at all, and each point is one transaction, so that a process may be
// killed at any moment. One writer; readers may look on (WAL).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "sim/config/sweep_reader.h"

struct sqlite3;
struct sqlite3_stmt;

namespace headroom {

struct PointRecord {
  std::size_t id = 0;
  std::optional<std::uint64_t> seed;
  std::string message;   // why it failed; empty: it is done
  std::string sha256;    // of the scenario; empty when it could not be loaded
  std::string resolved;  // the scenario
  std::string summary;   // summary.json; empty when it failed
};

class SweepDatabase {
 public:
  // A new file; there must be none. Throws OutputError.
  static SweepDatabase create(const std::string& path, const SweepFile& sweep, const std::string& version);
  // One that create() made for the same sweep and version. Throws ConfigError if it is something else.
  static SweepDatabase open(const std::string& path, const SweepFile& sweep, const std::string& version);
  SweepDatabase(SweepDatabase&&) noexcept;
  ~SweepDatabase();

  std::vector<bool> recorded() const;  // by point
  // The hash of a recorded point's scenario; empty when the point is not there or could not be loaded.
  std::string sha256_of(std::size_t id) const;
  void record(const PointRecord& record);

 private:
  struct Close {
    void operator()(sqlite3* connection) const;
    void operator()(sqlite3_stmt* statement) const;
  };
  using Statement = std::unique_ptr<sqlite3_stmt, Close>;

  SweepDatabase(const std::string& path, const SweepFile& sweep);
  void execute(const std::string& sql) const;
  Statement prepare(const std::string& sql) const;
  bool step(const Statement& statement) const;  // a row is there
  void make_tables(const std::string& version) const;
  [[noreturn]] void fail() const;

  std::string path_;
  const SweepFile* sweep_;
  std::vector<std::string> figures_;  // columns of `point` that come from summary.json
  std::unique_ptr<sqlite3, Close> connection_;
  Statement insert_point_, insert_scenario_;
};

}  // namespace headroom
