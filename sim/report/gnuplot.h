// The only door to gnuplot: scripts in, SVG pictures for a page out.
//
// One process draws everything; it reads its script from stdin, no shell is between, and start-up files are not read.
// The scripts are ours except for plot_text() texts. Colours become CSS variables, so that a page decides on them: see
// kPalette. Each picture is drawn twice, for a desk and for a phone.
#pragma once

#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

// gnuplot is not there, or refused a script.
class PlotError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Colour {
  std::string_view variable;  // of the page's style
  std::string_view rgb;       // "#0072b2": how scripts spell it, and what is shown if the style is silent
};
// Okabe and Ito's colours, told apart by colour-blind readers; then what a theme decides: ink, faint lines, the empty.
inline constexpr Colour kPalette[] = {
    {"--blue", "#0072b2"},      {"--orange", "#e69f00"}, {"--green", "#009e73"},  {"--pink", "#cc79a7"},
    {"--vermilion", "#d55e00"}, {"--sky", "#56b4e9"},    {"--yellow", "#f0e442"}, {"--ink", "#20242a"},
    {"--line", "#d5d9e0"},      {"--empty", "#e9ecf1"},
};
inline constexpr std::size_t kSeriesColours = 6;  // the first of kPalette, for one series each

struct PlotScript {
  std::string data;      // data blocks, "$name << END ... END"
  std::string body;      // ends in a plot command
  int wide_width = 560;  // beside another picture; twice that alone
  int wide_height = 240;
  int narrow_height = 250;
};

struct Picture {
  std::string wide, narrow;  // <svg> elements, without ids
};

// Throws PlotError.
std::vector<Picture> draw(std::span<const PlotScript> scripts);

// A text as gnuplot reads it: in single quotes, where nothing is substituted; an apostrophe becomes a typographic one,
// control characters become spaces.
std::string plot_text(std::string_view text);
// The same for a label of a tic, which is a format: '%' doubled.
std::string plot_tic(std::string_view text);

}  // namespace headroom
