#include "sim/report/figures.h"

#include <fmt/format.h>

#include "sim/report/html.h"

namespace headroom {
namespace {

// No text of a user holds it: escaped() drops control characters.
constexpr char kMark = '\x01';

}  // namespace

std::string Figures::add(const std::string& title, const std::string& caption, PlotScript script) {
  texts_.emplace_back(title, caption);
  scripts_.push_back(std::move(script));
  return std::string(1, kMark);
}

std::string Figures::into(const std::string& html) const {
  const std::vector<Picture> pictures = draw(scripts_);
  std::string out;
  std::size_t next = 0;
  for (const char c : html) {
    if (c != kMark) {
      out += c;
      continue;
    }
    out += figure_html(texts_[next].first, texts_[next].second, pictures[next], scripts_[next].wide_width > 560);
    ++next;
  }
  return out;
}

}  // namespace headroom
