// Parts of the program that lie beside it in files of their own, because few runs need the large libraries they link.
#pragma once

namespace headroom {

// Loads the module, found beside the program or in lib/headroom beside the program's folder. It stays loaded.
// `shared`: libraries that it loads itself find its own libraries' symbols. Throws std::runtime_error.
void* symbol_of_module(const char* module, const char* symbol, bool shared = false);

}  // namespace headroom
