// The frame of the page: one file with its style, its script and nothing to fetch.
#pragma once

#include <string>

namespace headroom {

// `body`: HTML. The page's policy lets no request leave and no script run but its own.
std::string page_html(const std::string& title, const std::string& body);

}  // namespace headroom
