#include "sim/report/gnuplot.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace headroom {
namespace {

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, Close>;

File temporary() {
  File file(std::tmpfile());
  if (!file) throw PlotError(fmt::format("no temporary file: {}", std::strerror(errno)));
  return file;
}

std::string contents(std::FILE* file) {
  std::string text;
  char buffer[1 << 16];
  std::rewind(file);
  while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, file)) text.append(buffer, n);
  return text;
}

// What gnuplot says to `script`. Files on all three sides, so neither side waits for the other.
std::string answer(const std::string& script) {
  const File in = temporary(), out = temporary(), err = temporary();
  if (std::fwrite(script.data(), 1, script.size(), in.get()) != script.size() || std::fflush(in.get()) != 0)
    throw PlotError(fmt::format("a temporary file cannot be written: {}", std::strerror(errno)));
  ::lseek(fileno(in.get()), 0, SEEK_SET);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, fileno(in.get()), STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(out.get()), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, fileno(err.get()), STDERR_FILENO);
  char program[] = "gnuplot", settings[] = "-d";
  char* arguments[] = {program, settings, nullptr};
  char locale[] = "LC_ALL=C.UTF-8";  // nothing else of the environment reaches it
  char* environment[] = {locale, nullptr};
  pid_t child = 0;
  const int problem = ::posix_spawnp(&child, program, &actions, nullptr, arguments, environment);
  posix_spawn_file_actions_destroy(&actions);
  if (problem != 0)
    throw PlotError(
        fmt::format("gnuplot draws the report's plots and cannot be started ({}); on Debian: apt-get "
                    "install --no-install-recommends gnuplot-nox",
                    std::strerror(problem)));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  const std::string said = contents(err.get());
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) throw PlotError("gnuplot failed: " + said.substr(0, 500));
  return contents(out.get());
}

void erase_between(std::string& text, std::string_view from, std::string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos;) {
    const std::size_t end = text.find(to, at + from.size());
    if (end == std::string::npos) return;
    text.erase(at, end + to.size() - at);
  }
}

// Every "rgb(r, g, b)" of the palette, whatever its spaces, as the page's variable.
std::string with_variables(std::string_view svg) {
  std::string out;
  out.reserve(svg.size());
  for (;;) {
    const std::size_t at = svg.find("rgb(");
    out += svg.substr(0, at);
    if (at == std::string_view::npos) return out;
    svg.remove_prefix(at);
    const std::size_t end = svg.find(')');
    int parts[3] = {};
    bool is_colour = end != std::string_view::npos;
    const char *p = svg.data() + 4, *last = is_colour ? svg.data() + end : p;
    for (int& part : parts) {
      while (p < last && (*p == ' ' || *p == ',')) ++p;
      const auto [next, problem] = std::from_chars(p, last, part);
      is_colour = is_colour && problem == std::errc{};
      p = next;
    }
    if (!is_colour) {  // part of a text
      out += svg.substr(0, 4);
      svg.remove_prefix(4);
      continue;
    }
    const std::string rgb = fmt::format("#{:02x}{:02x}{:02x}", parts[0], parts[1], parts[2]);
    std::string written = rgb;
    for (const Colour& colour : kPalette)
      if (colour.rgb == rgb) written = fmt::format("var({})", colour.variable);
    out += written;
    svg.remove_prefix(end + 1);
  }
}

// Without what a page with many pictures must not have twice (ids), and without what draws nothing.
std::string cleaned(std::string_view svg) {
  std::string text(svg.substr(svg.find("<svg")));
  erase_between(text, "<title>", "</title>");
  erase_between(text, "<desc>", "</desc>");
  erase_between(text, "<defs>", "</defs>");
  erase_between(text, " font-family=\"", "\"");
  erase_between(text, " id=\"", "\"");
  erase_between(text, " class=\"", "\"");
  erase_between(text, " xmlns:xlink=\"", "\"");
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {  // <g ...> that holds nothing
    if (text.compare(at, 2, "<g") == 0) {
      const std::size_t open = text.find('>', at);
      const std::size_t next = open == std::string::npos ? open : text.find_first_not_of(" \t\n", open + 1);
      if (next != std::string::npos && text.compare(next, 4, "</g>") == 0) {
        at = text.find_first_not_of(" \t\n", next + 4);
        continue;
      }
    }
    if (text[at] == '\n' && !out.empty() && out.back() == '\n')
      ++at;
    else
      out += text[at++];
  }
  return with_variables(out);
}

constexpr const char* kCommon = R"(reset session
set border 3 lc rgb '#d5d9e0'
set tics nomirror textcolor rgb '#20242a' scale 0.5
set grid ytics lt 1 lw 0.6 lc rgb '#d5d9e0'
set xlabel textcolor rgb '#20242a'
set ylabel textcolor rgb '#20242a'
set cblabel textcolor rgb '#20242a'
unset key
)";

}  // namespace

std::vector<Picture> draw(std::span<const PlotScript> scripts) {
  if (scripts.empty()) return {};
  std::string all = "set encoding utf8\n";
  for (const PlotScript& s : scripts)
    for (const bool wide : {true, false}) {
      all += fmt::format("set terminal svg size {},{} dynamic noenhanced font 'Sans,{}'\n", wide ? s.wide_width : 380,
                         wide ? s.wide_height : s.narrow_height, 12);
      all += std::string(kCommon) + s.data + s.body + "\n";
    }
  const std::string said = answer(all);
  std::vector<std::string> svgs;
  for (std::size_t at = said.find("<?xml"); at != std::string::npos;) {
    const std::size_t next = said.find("<?xml", at + 1);
    svgs.push_back(cleaned(std::string_view(said).substr(at, next == std::string::npos ? next : next - at)));
    at = next;
  }
  if (svgs.size() != 2 * scripts.size())
    throw PlotError(fmt::format("gnuplot drew {} of {} pictures", svgs.size(), 2 * scripts.size()));
  std::vector<Picture> pictures;
  for (std::size_t i = 0; i < svgs.size(); i += 2) pictures.push_back({svgs[i], svgs[i + 1]});
  return pictures;
}

std::string plot_tic(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '%' ? "%%" : std::string(1, c);
  return plot_text(out);
}

std::string plot_text(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'')  // gnuplot 5.4 does not take a doubled quote for one where the string begins
      out += "\u2019";
    else
      out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? ' ' : c;
  }
  return out + "'";
}

}  // namespace headroom
