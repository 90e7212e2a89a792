// Several texts as one, for messages between processes of this program: each behind its length.
#pragma once

#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

inline std::string pack(std::initializer_list<std::string_view> fields) {
  std::string text;
  for (const std::string_view field : fields) (text += std::to_string(field.size()) += ':') += field;
  return text;
}

inline std::vector<std::string> unpack(const std::string& text) {
  std::vector<std::string> fields;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t colon = text.find(':', at);
    if (colon == std::string::npos) throw std::runtime_error("a message between processes is damaged");
    const std::size_t size = std::stoull(text.substr(at, colon - at));
    fields.push_back(text.substr(colon + 1, size));
    at = colon + 1 + size;
  }
  return fields;
}

}  // namespace headroom
