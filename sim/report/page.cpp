#include "sim/report/page.h"

#include <fmt/format.h>
#include <nettle/base64.h>
#include <nettle/sha2.h>

#include <string_view>

#include "sim/report/html.h"

namespace headroom {
namespace {

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--bg:#fff;--card:#f6f7f9;--ink:#20242a;--soft:#5a6472;--line:#d5d9e0;--empty:#e3e7ed;
--blue:#0072b2;--orange:#e69f00;--green:#009e73;--pink:#cc79a7;--vermilion:#d55e00;--sky:#56b4e9;--yellow:#f0e442;
--good:#00694d;--bad:#a84300}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2127;--ink:#e6e9ee;--soft:#a0a9b6;--line:#3a414c;
--empty:#2b313a;--blue:#3b9bdc;--good:#3cc79b;--bad:#ff9350}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--bg);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:72rem;margin:0 auto;padding:1.5rem 1.25rem 4rem}
h1{font-size:clamp(1.6rem,1.2rem + 2vw,2.4rem);line-height:1.15;margin:.1rem 0 .4rem;letter-spacing:-.015em;overflow-wrap:anywhere}
h2{font-size:1.3rem;line-height:1.25;margin:2.8rem 0 .6rem;letter-spacing:-.01em}
h3{font-size:1rem;margin:1.2rem 0 .2rem}
p{margin:.4rem 0;max-width:68ch}
.kicker{font-size:.8rem;letter-spacing:.06em;text-transform:uppercase;color:var(--soft);margin:0}
.lede{font-size:1.08rem;color:var(--soft)}
.soft,figcaption span,caption{color:var(--soft);font-size:.9rem}
code,pre{font:.86em/1.5 ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{overflow-wrap:anywhere}
pre{background:var(--card);padding:1rem;border-radius:.5rem;overflow-x:auto}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:1rem 0 0;font-size:.9rem}
a{color:var(--blue)}
.trust{border-left:.35rem solid var(--orange);background:var(--card);border-radius:.2rem .5rem .5rem .2rem;padding:.7rem 1rem;margin:1rem 0}
.trust.measured{border-color:var(--green)}.trust.datasheet{border-color:var(--vermilion)}
.trust b{display:block}.trust p{margin:.1rem 0}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,20rem),1fr));gap:1rem;margin:1rem 0}
.card{background:var(--card);border-radius:.6rem;padding:1rem 1.15rem}
.card h3{margin:0 0 .3rem;font-size:1.1rem;overflow-wrap:anywhere}
.card h3 i,.legend i{display:inline-block;width:.75em;height:.75em;border-radius:.2em;margin-right:.45em;vertical-align:-.03em}
.card p{font-size:.95rem}
dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(7.6rem,1fr));gap:.6rem 1rem;margin:.7rem 0 .2rem}
dl div{min-width:0}dt{font-size:.78rem;color:var(--soft);line-height:1.3}
dd{margin:0;font-size:1.25rem;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.3}
dd small{display:block;font-size:.8rem;font-weight:400;color:var(--soft)}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,30rem),1fr));gap:.5rem 1.5rem}
figure{margin:1rem 0 0;min-width:0}.full{grid-column:1/-1}figcaption{margin-bottom:.2rem}
svg{display:block;width:100%;height:auto}
.narrow{display:none}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;padding:0;margin:.5rem 0;font-size:.88rem}
.legend li{overflow-wrap:anywhere}
.bar{margin:.45rem 0}.barname{display:block;font-size:.9rem;overflow-wrap:anywhere}
.track{display:flex;height:1.7rem;border-radius:.3rem;overflow:hidden;background:var(--empty)}
.track span{font-size:.78rem;line-height:1.7rem;text-align:center;overflow:hidden;white-space:nowrap;color:#111}
.track .on--blue,.track .on--vermilion,.track .on--green{color:#fff}.track .on--empty,.track .on--line{color:var(--ink)}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.2rem 0}
th,td{padding:.28rem .8rem .28rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}
thead th{font-weight:600;vertical-align:bottom;white-space:nowrap}
tbody th{font-weight:400}
.numbers th+th,.numbers td{text-align:right;white-space:nowrap}
.numbers tbody th{white-space:nowrap}
.text td{overflow-wrap:anywhere}
.better{color:var(--good)}.worse{color:var(--bad)}
.section th{font-weight:600;padding-top:.9rem}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer;text-align:inherit}
th button::after{content:" \2195";color:var(--soft);opacity:.55}
th[aria-sort=ascending] button::after{content:" \2191";opacity:1}
th[aria-sort=descending] button::after{content:" \2193";opacity:1}
details{margin:.8rem 0}summary{cursor:pointer;font-weight:600}
footer{margin-top:3rem;color:var(--soft);font-size:.85rem}
@media (max-width:40rem){main{padding:1rem .9rem 3rem}.wide{display:none}.narrow{display:block}}
@media print{.wide{display:block}.narrow{display:none}details>*{display:block}}
)css";

// Sorts a table's rows by a column: by data-v where all cells have one, else by text. A second click turns the order.
constexpr std::string_view kScript = R"js(
document.querySelectorAll("table.sortable").forEach(table => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach(h => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const rows = [...table.tBodies[0].rows].map(row => {
      const cell = row.cells[column];
      return {row, number: cell && cell.dataset.v !== undefined ? +cell.dataset.v : NaN, text: cell ? cell.textContent : ""};
    });
    rows.sort((a, b) => {
      const missing = isNaN(a.number) - isNaN(b.number);
      if (missing) return missing;
      const order = isNaN(a.number) ? a.text.localeCompare(b.text, "en", {numeric: true}) : a.number - b.number;
      return down ? -order : order;
    });
    rows.forEach(r => table.tBodies[0].append(r.row));
  }));
});
)js";

// The points of gnuplot's pictures, once for the page.
constexpr std::string_view kMarks =
    "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>"
    "<circle id=\"gpDot\" r=\".5\" stroke-width=\".5\" stroke=\"currentColor\"/>"
    "<circle id=\"gpPt6\" r=\"1\" fill=\"currentColor\" stroke=\"none\"/></defs></svg>\n";

std::string sha256_base64(std::string_view text) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, text.size(), reinterpret_cast<const std::uint8_t*>(text.data()));
  std::uint8_t digest[SHA256_DIGEST_SIZE];
  sha256_digest(&context, sizeof digest, digest);
  std::string base64(BASE64_ENCODE_RAW_LENGTH(sizeof digest), '\0');
  base64_encode_raw(base64.data(), sizeof digest, digest);
  return base64;
}

}  // namespace

std::string page_html(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src "
      "'unsafe-inline'; script-src "
      "'sha256-{}'; base-uri 'none'; form-action 'none'\">\n"
      "<link rel=\"icon\" "
      "href=\"data:,\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n{}<main>\n{}</main>\n"
      "<script>{}</script>\n</body>\n</html>\n",
      sha256_base64(kScript), escaped(title), kStyle, kMarks, body, kScript);
}

}  // namespace headroom
