// An SQLite file may come from a stranger, and a schema can hold programs: views and triggers that never end, functions
// with effects. What a sweep writes has none of them, so none of them is run.
#pragma once

#include <sqlite3.h>

namespace headroom {

inline void distrust(sqlite3* connection) {
  for (const int off : {SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_TRUSTED_SCHEMA})
    sqlite3_db_config(connection, off, 0, nullptr);
  sqlite3_db_config(connection, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_limit(connection, SQLITE_LIMIT_LENGTH, 64 << 20);  // bytes of one value
}

}  // namespace headroom
