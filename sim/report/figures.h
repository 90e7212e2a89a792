// Pictures of one page: sections say where each goes, and one gnuplot draws them all at the end.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/report/gnuplot.h"

namespace headroom {

class Figures {
 public:
  // A place-holder for the figure, to stand in the HTML until into().
  std::string add(const std::string& title, const std::string& caption, PlotScript script);
  // The HTML with every place-holder replaced, drawn now.
  std::string into(const std::string& html) const;

 private:
  std::vector<std::pair<std::string, std::string>> texts_;
  std::vector<PlotScript> scripts_;
};

}  // namespace headroom
