#include "sim/config/errors.h"

#include <algorithm>

namespace headroom {
namespace {

std::string placed(const SourcePos& pos, std::string_view message) {
  std::string text = pos.file;
  if (pos.line > 0) text += ":" + std::to_string(pos.line) + ":" + std::to_string(std::max(pos.column, 1));
  return text + ": error: " + std::string(message);
}

// Levenshtein's distance.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

ConfigError::ConfigError(const SourcePos& pos, std::string_view message)
    : std::runtime_error(placed(pos, message)), pos_(pos) {}

std::string nearest_name(std::string_view word, std::span<const std::string_view> known) {
  if (word.size() > 100) return {};
  std::string_view best;
  std::size_t least = 2 + word.size() / 4;
  for (const std::string_view name : known) {
    const std::size_t distance = edit_distance(word, name);
    if (distance < least) {
      least = distance;
      best = name;
    }
  }
  return std::string(best);
}

std::string suggestion(std::string_view word, std::span<const std::string_view> known) {
  const std::string near = nearest_name(word, known);
  if (!near.empty()) return "; did you mean '" + near + "'?";
  std::vector<std::string_view> sorted(known.begin(), known.end());
  std::sort(sorted.begin(), sorted.end());
  std::string text = "; known: ";
  for (const std::string_view name : sorted) text += (text.size() > 9 ? ", " : "") + std::string(name);
  return text;
}

}  // namespace headroom
