#include "sim/output/sweep_results.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <memory>

#include "sim/config/errors.h"
#include "sim/output/distrust.h"

namespace headroom {
namespace {

struct Close {
  void operator()(sqlite3* connection) const { sqlite3_close(connection); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class Database {
 public:
  explicit Database(const std::string& file) : file_(file) {
    sqlite3* connection = nullptr;
    // Nothing is changed; but what a killed sweep left half written can be put right only by who may write.
    const int code = sqlite3_open_v2(file.c_str(), &connection, SQLITE_OPEN_READWRITE, nullptr);
    connection_.reset(connection);
    if (code != SQLITE_OK) fail();
    distrust(connection);
  }

  class Rows {
   public:
    Rows(const Database& database, sqlite3_stmt* statement) : database_(database), statement_(statement) {}
    bool next() {
      const int code = sqlite3_step(statement_.get());
      if (code != SQLITE_ROW && code != SQLITE_DONE) database_.fail();
      return code == SQLITE_ROW;
    }
    int columns() const { return sqlite3_column_count(statement_.get()); }
    std::string name(int column) const { return sqlite3_column_name(statement_.get(), column); }
    int type(int column) const { return sqlite3_column_type(statement_.get(), column); }
    std::string text(int column) const {
      const unsigned char* text = sqlite3_column_text(statement_.get(), column);
      return text == nullptr ? "" : reinterpret_cast<const char*>(text);
    }
    double number(int column) const { return sqlite3_column_double(statement_.get(), column); }
    std::int64_t integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

   private:
    const Database& database_;
    std::unique_ptr<sqlite3_stmt, Close> statement_;
  };

  Rows rows(const char* sql) const {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(connection_.get(), sql, -1, &statement, nullptr) != SQLITE_OK) fail();
    return {*this, statement};
  }
  [[noreturn]] void fail() const {
    throw ConfigError({file_, 0, 0},
                      fmt::format("cannot be read as the database of a sweep: {}", sqlite3_errmsg(connection_.get())));
  }

 private:
  std::string file_;
  std::unique_ptr<sqlite3, Close> connection_;
};

}  // namespace

SweepResults read_sweep_results(const std::string& file) {
  const Database database(file);
  SweepResults out;
  auto sweep = database.rows("select name, version, points, definition, scenario, schema from sweep");
  if (!sweep.next()) throw ConfigError({file, 0, 0}, "holds no sweep");
  if (sweep.integer(5) != 1) throw ConfigError({file, 0, 0}, fmt::format("has schema {}; expected 1", sweep.text(5)));
  out.name = sweep.text(0);
  out.version = sweep.text(1);
  out.planned = sweep.integer(2);
  out.definition = sweep.text(3);
  out.scenario = sweep.text(4);

  auto axes = database.rows("select path, zip, unit from axis order by id");
  while (axes.next()) {
    SweepAxisValues axis;
    axis.path = axes.text(0);
    if (axes.type(1) != SQLITE_NULL) axis.zip = axes.integer(1);
    axis.unit = axes.text(2);
    out.axes.push_back(std::move(axis));
  }
  auto values = database.rows("select axis, value from axis_value order by axis, position");
  while (values.next()) {
    if (values.integer(0) < 0 || static_cast<std::size_t>(values.integer(0)) >= out.axes.size())
      throw ConfigError({file, 0, 0},
                        fmt::format("holds a value of axis {}, of {} axes", values.integer(0), out.axes.size()));
    SweepAxisValues& axis = out.axes[static_cast<std::size_t>(values.integer(0))];
    axis.words.push_back(values.text(1));
    if (!axis.unit.empty()) axis.numbers.push_back(values.number(1));
  }

  auto points = database.rows("select * from point order by id");
  while (points.next()) {
    SweepPointResult point;
    point.at.resize(out.axes.size());
    for (int c = 0; c < points.columns(); ++c) {
      const std::string name = points.name(c);
      const auto axis =
          std::find_if(out.axes.begin(), out.axes.end(), [&](const SweepAxisValues& a) { return a.path == name; });
      if (axis != out.axes.end()) {
        std::size_t at = 0;  // numbers are compared as such: SQLite keeps 8 and 8.0 apart as texts
        while (at < axis->words.size() &&
               (axis->unit.empty() ? axis->words[at] != points.text(c) : axis->numbers[at] != points.number(c)))
          ++at;
        if (at == axis->words.size())
          throw ConfigError({file, 0, 0}, fmt::format("point {} has '{}' for {}, which the axis has not",
                                                      points.text(0), points.text(c), name));
        point.at[static_cast<std::size_t>(axis - out.axes.begin())] = at;
      } else if (name == "id") {
        point.id = points.integer(c);
      } else if (name == "variant") {
        point.variant = points.text(c);
      } else if (name == "seed") {
        point.seed = points.integer(c);
      } else if (name == "status") {
        point.failed = points.text(c) != "done";
      } else if (name == "message") {
        point.message = points.text(c);
      } else if (points.type(c) == SQLITE_TEXT) {
        point.texts[name] = points.text(c);
      } else if (points.type(c) != SQLITE_NULL) {
        point.figures[name] = points.number(c);
      }
    }
    out.points.push_back(std::move(point));
  }
  return out;
}

}  // namespace headroom
