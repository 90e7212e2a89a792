// Pieces of HTML. Every text that is not ours goes through escaped().
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "sim/report/gnuplot.h"

namespace headroom {

// Safe between tags and inside of double quotes; control characters are dropped.
std::string escaped(std::string_view text);

struct Cell {
  std::string text;         // escaped by the table
  double value = kNoValue;  // what sorting goes by; kNoValue: by the text
  std::string html = {};    // instead of the text, as it stands
  std::string classes = {};
  static constexpr double kNoValue = -1e300;
};
Cell number_cell(double value, std::string text);

struct HtmlTable {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<Cell>> rows;
  bool sortable = true;
};
// The first column is text, the others numbers, aligned to the right, unless `all_text`.
std::string html_of(const HtmlTable& table, bool all_text = false);

struct BarPart {
  std::string label;
  std::string colour;  // a variable of kPalette
  double share;        // of 1
};
// One bar of the whole width, with its parts' shares written in those wide enough.
std::string bar_html(const std::string& name, const std::vector<BarPart>& parts);
// Chips of colour with their labels.
std::string legend_html(const std::vector<std::pair<std::string, std::string>>& colours_and_labels);

// `full`: over the whole width of a grid.
std::string figure_html(const std::string& title, const std::string& caption, const Picture& picture, bool full);

}  // namespace headroom
