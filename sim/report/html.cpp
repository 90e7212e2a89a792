#include "sim/report/html.h"

#include <fmt/format.h>

#include <algorithm>

namespace headroom {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t') out += c;
    }
  return out;
}

Cell number_cell(double value, std::string text) {
  return value == value ? Cell{std::move(text), value} : Cell{"–"};
}

std::string html_of(const HtmlTable& table, bool all_text) {
  std::string out = fmt::format("<div class=\"scroll\" tabindex=\"0\"><table class=\"{}{}\">",
                                all_text ? "text" : "numbers", table.sortable ? " sortable" : "");
  if (!table.caption.empty()) out += "<caption>" + escaped(table.caption) + "</caption>";
  out += "<thead><tr>";
  for (const std::string& name : table.head)
    out += table.sortable ? "<th scope=\"col\"><button type=\"button\">" + escaped(name) + "</button></th>"
                          : "<th scope=\"col\">" + escaped(name) + "</th>";
  out += "</tr></thead><tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i) {
      const Cell& c = row[i];
      const char* tag = i == 0 ? "th scope=\"row\"" : "td";
      const std::string span = row.size() == 1 ? fmt::format(" colspan=\"{}\"", table.head.size()) : "";
      out +=
          fmt::format("<{}{}{}{}>{}</{}>", tag, span, c.classes.empty() ? "" : fmt::format(" class=\"{}\"", c.classes),
                      c.value == Cell::kNoValue ? "" : fmt::format(" data-v=\"{}\"", c.value),
                      c.html.empty() ? escaped(c.text) : c.html, i == 0 ? "th" : "td");
    }
    out += "</tr>\n";
  }
  return out + "</tbody></table></div>\n";
}

std::string bar_html(const std::string& name, const std::vector<BarPart>& parts) {
  std::string out = "<div class=\"bar\">" +
                    (name.empty() ? "" : "<span class=\"barname\">" + escaped(name) + "</span>") +
                    "<div class=\"track\">";
  for (const BarPart& part : parts) {
    if (!(part.share > 0.0005)) continue;
    const std::string words = fmt::format("{}: {:.1f} %", part.label, 100 * part.share);
    out += fmt::format("<span style=\"width:{:.2f}%;background:var({})\" title=\"{}\" class=\"on{}\">{}</span>",
                       100 * part.share, part.colour, escaped(words), part.colour,
                       part.share >= 0.07 ? fmt::format("{:.0f} %", 100 * part.share) : "");
  }
  return out + "</div></div>\n";
}

std::string legend_html(const std::vector<std::pair<std::string, std::string>>& colours_and_labels) {
  std::string out = "<ul class=\"legend\">";
  for (const auto& [colour, label] : colours_and_labels)
    out += fmt::format("<li><i style=\"background:var({})\"></i>{}</li>", colour, escaped(label));
  return out + "</ul>\n";
}

std::string figure_html(const std::string& title, const std::string& caption, const Picture& picture, bool full) {
  const auto labelled = [&](std::string svg) {
    return svg.insert(4, fmt::format(" role=\"img\" aria-label=\"{}\"", escaped(title)));
  };
  return fmt::format(
      "<figure{}><figcaption><b>{}</b>{}</figcaption><div class=\"wide\">{}</div><div "
      "class=\"narrow\">{}</div></figure>\n",
      full ? " class=\"full\"" : "", escaped(title), caption.empty() ? "" : " <span>" + escaped(caption) + "</span>",
      labelled(picture.wide), labelled(picture.narrow));
}

}  // namespace headroom
