#include "sim/output/sweep_database.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "sim/output/distrust.h"
#include "sim/output/files.h"
#include "sim/output/summary_json.h"

namespace headroom {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kSchema = 1;

// Calls `leaf` for every figure of a summary, with its path, dots as '_'. What names the scenario has columns of its
// own, and what tells of the simulator differs from run to run.
template <class Leaf>
void for_each_figure(const Json& j, const std::string& path, const Leaf& leaf) {
  for (const auto& [key, value] : j.items()) {
    if (path.empty() && (key == "scenario" || key == "seed" || key == "simulator")) continue;
    const std::string name = path.empty() ? key : path + "_" + key;
    if (value.is_object())
      for_each_figure(value, name, leaf);
    else
      leaf(name, value);
  }
}

std::string quoted(const std::string& name) {
  std::string text = "\"";
  for (const char c : name) text += c == '"' ? "\"\"" : std::string(1, c);
  return text + "\"";
}

std::string question_marks(std::size_t count) {
  std::string text = "?";
  for (std::size_t i = 1; i < count; ++i) text += ",?";
  return text;
}

void put(sqlite3_stmt* statement, int at, const std::string& text) {
  sqlite3_bind_text(statement, at, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}
void put(sqlite3_stmt* statement, int at, std::int64_t value) {
  sqlite3_bind_int64(statement, at, value);
}
void put(sqlite3_stmt* statement, int at, const AxisValue& value) {
  if (value.number)
    sqlite3_bind_double(statement, at, *value.number);
  else
    put(statement, at, value.word);
}
void put(sqlite3_stmt* statement, int at, const Json& value) {
  if (value.is_number_integer())
    put(statement, at, value.get<std::int64_t>());
  else if (value.is_number())
    sqlite3_bind_double(statement, at, value.get<double>());
  else if (value.is_string())
    put(statement, at, value.get<std::string>());
  else
    sqlite3_bind_null(statement, at);
}

const char* type_of(const Axis& axis) {
  if (axis.unit.empty()) return "text";
  const auto whole = [](const AxisValue& v) { return *v.number == std::floor(*v.number); };
  return axis.unit == "number" && std::all_of(axis.values.begin(), axis.values.end(), whole) ? "integer" : "real";
}

std::string text_at(sqlite3_stmt* statement, int column) {
  const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

void SweepDatabase::Close::operator()(sqlite3* connection) const {
  sqlite3_close_v2(connection);
}
void SweepDatabase::Close::operator()(sqlite3_stmt* statement) const {
  sqlite3_finalize(statement);
}

SweepDatabase::SweepDatabase(const std::string& path, const SweepFile& sweep) : path_(path), sweep_(&sweep) {
  for_each_figure(Json::parse(summary_json({}, {}, {}, "")), "",
                  [&](const std::string& name, const Json&) { figures_.push_back(name); });
  sqlite3* connection = nullptr;
  const int problem = sqlite3_open(path.c_str(), &connection);
  connection_.reset(connection);
  if (problem != SQLITE_OK) fail();
  sqlite3_busy_timeout(connection, 60'000);
  distrust(connection);
}
SweepDatabase::SweepDatabase(SweepDatabase&&) noexcept = default;
SweepDatabase::~SweepDatabase() = default;

void SweepDatabase::fail() const {
  throw OutputError(fmt::format("'{}': {}", path_, sqlite3_errmsg(connection_.get())));
}

void SweepDatabase::execute(const std::string& sql) const {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
}

SweepDatabase::Statement SweepDatabase::prepare(const std::string& sql) const {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) fail();
  return Statement(statement);
}

bool SweepDatabase::step(const Statement& statement) const {
  const int result = sqlite3_step(statement.get());
  if (result != SQLITE_ROW && result != SQLITE_DONE) fail();
  return result == SQLITE_ROW;
}

void SweepDatabase::make_tables(const std::string& version) const {
  const bool variants = sweep_->variants.size() > 1 || !sweep_->variants.front().empty();
  std::string point = "create table point (id integer primary key, ";
  for (const Axis& axis : sweep_->axes) point += fmt::format("{} {}, ", quoted(axis.path), type_of(axis));
  if (variants) point += "variant text, ";
  point += "seed integer, status text not null check (status in ('done', 'failed')), message text";
  for_each_figure(Json::parse(summary_json({}, {}, {}, "")), "", [&](const std::string& name, const Json& value) {
    point += fmt::format(", {} {}", name, value.is_string() ? "text" : value.is_number_integer() ? "integer" : "real");
  });
  execute("begin");
  execute(
      "create table sweep (schema integer not null, name text not null, version text not null, points integer not null,"
      " definition text not null, scenario text not null)");
  execute("create table axis (id integer primary key, path text not null unique, zip integer not null, unit text)");
  execute(
      "create table axis_value (axis integer not null references axis, position integer not null, value,"
      " text text not null, primary key (axis, position)) without rowid");
  execute(point + ")");
  execute(
      "create table scenario (point integer primary key references point, sha256 text not null, resolved text not "
      "null)");

  const Statement sweep = prepare("insert into sweep values (?,?,?,?,?,?)");
  put(sweep.get(), 1, std::int64_t{kSchema});
  put(sweep.get(), 2, sweep_->name);
  put(sweep.get(), 3, version);
  put(sweep.get(), 4, static_cast<std::int64_t>(sweep_->num_points()));
  put(sweep.get(), 5, sweep_->definition);
  put(sweep.get(), 6, sweep_->scenario);
  step(sweep);
  for (std::size_t i = 0; i < sweep_->axes.size(); ++i) {
    const Axis& axis = sweep_->axes[i];
    const Statement row = prepare("insert into axis values (?,?,?,?)");
    put(row.get(), 1, static_cast<std::int64_t>(i));
    put(row.get(), 2, axis.path);
    put(row.get(), 3, static_cast<std::int64_t>(axis.dimension));
    if (!axis.unit.empty()) put(row.get(), 4, axis.unit);
    step(row);
    for (std::size_t position = 0; position < axis.values.size(); ++position) {
      const Statement value = prepare("insert into axis_value values (?,?,?,?)");
      put(value.get(), 1, static_cast<std::int64_t>(i));
      put(value.get(), 2, static_cast<std::int64_t>(position));
      put(value.get(), 3, axis.values[position]);
      put(value.get(), 4, axis.values[position].text);
      step(value);
    }
  }
  execute("commit");
}

SweepDatabase SweepDatabase::create(const std::string& path, const SweepFile& sweep, const std::string& version) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty()) make_folder(folder.string());
  const std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  std::remove(temporary.c_str());
  try {
    SweepDatabase(temporary, sweep).make_tables(version);
    if (std::rename(temporary.c_str(), path.c_str()) != 0)
      throw OutputError(fmt::format("'{}' cannot be written", path));
  } catch (...) {
    std::remove(temporary.c_str());
    throw;
  }
  return open(path, sweep, version);
}

SweepDatabase SweepDatabase::open(const std::string& path, const SweepFile& sweep, const std::string& version) {
  const SourcePos place{path, 0, 0};
  SweepDatabase db(path, sweep);
  const bool variants = sweep.variants.size() > 1 || !sweep.variants.front().empty();
  std::string columns = "id, ";
  for (const Axis& axis : sweep.axes) columns += quoted(axis.path) + ", ";
  columns += variants ? "variant, seed, status, message" : "seed, status, message";
  for (const std::string& name : db.figures_) columns += ", " + name;
  const std::size_t count = 4 + sweep.axes.size() + (variants ? 1 : 0) + db.figures_.size();
  try {
    const Statement about = db.prepare("select schema, version, definition, scenario from sweep");
    if (!db.step(about)) throw OutputError("");
    if (sqlite3_column_int(about.get(), 0) != kSchema) throw OutputError("");
    if (const std::string other = text_at(about.get(), 1); other != version)
      throw ConfigError(place,
                        fmt::format("begun by version {}, this is {}; results would not compare", other, version));
    if (text_at(about.get(), 2) != sweep.definition)
      throw ConfigError(place,
                        "the sweep file has changed since it was begun; expected the same one, or a new database");
    if (text_at(about.get(), 3) != sweep.scenario)
      throw ConfigError(place,
                        fmt::format("{} has changed since it was begun; expected a new database", sweep.scenario_file));
    db.insert_point_ = db.prepare(fmt::format("insert into point ({}) values ({})", columns, question_marks(count)));
    db.insert_scenario_ = db.prepare("insert into scenario values (?,?,?)");
    db.recorded();
  } catch (const OutputError&) {
    throw ConfigError(place, "is no database of a sweep, or a damaged one");
  }
  db.execute("pragma journal_mode = wal");
  db.execute("pragma synchronous = normal");
  return db;
}

std::vector<bool> SweepDatabase::recorded() const {
  std::vector<bool> there(sweep_->num_points());
  const Statement ids = prepare("select id from point");
  while (step(ids)) {
    const std::int64_t id = sqlite3_column_int64(ids.get(), 0);
    if (id < 0 || static_cast<std::size_t>(id) >= there.size())
      throw ConfigError({path_, 0, 0}, fmt::format("holds a point {}; the sweep has {}", id, there.size()));
    there[static_cast<std::size_t>(id)] = true;
  }
  return there;
}

std::string SweepDatabase::sha256_of(std::size_t id) const {
  const Statement row = prepare("select sha256 from scenario where point = ?");
  put(row.get(), 1, static_cast<std::int64_t>(id));
  return step(row) ? text_at(row.get(), 0) : std::string();
}

void SweepDatabase::record(const PointRecord& r) {
  const SweepPoint point = sweep_->point(r.id);
  sqlite3_stmt* row = insert_point_.get();
  sqlite3_reset(row);
  sqlite3_clear_bindings(row);
  int at = 1;
  put(row, at++, static_cast<std::int64_t>(r.id));
  for (std::size_t i = 0; i < sweep_->axes.size(); ++i) put(row, at++, sweep_->axes[i].values[point.at[i]]);
  if (!point.variant.empty()) put(row, at++, point.variant);
  if (r.seed) put(row, at, static_cast<std::int64_t>(*r.seed));
  ++at;
  put(row, at++, std::string(r.message.empty() ? "done" : "failed"));
  if (!r.message.empty()) put(row, at, r.message);
  ++at;
  if (r.message.empty())
    for_each_figure(Json::parse(r.summary), "", [&](const std::string& name, const Json& value) {
      const auto column = std::find(figures_.begin(), figures_.end(), name);
      if (column != figures_.end()) put(row, at + static_cast<int>(column - figures_.begin()), value);
    });
  execute("begin immediate");
  step(insert_point_);
  if (!r.sha256.empty()) {
    sqlite3_stmt* scenario = insert_scenario_.get();
    sqlite3_reset(scenario);
    put(scenario, 1, static_cast<std::int64_t>(r.id));
    put(scenario, 2, r.sha256);
    put(scenario, 3, r.resolved);
    step(insert_scenario_);
  }
  execute("commit");
}

}  // namespace headroom
