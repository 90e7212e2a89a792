// In builds with the leak sanitizer, a program in whose processes nothing is unloaded: of a library that is gone at the
// end, as most of Open MPI's are, the sanitizer could name no function, and leaks-of-others.supp none to suppress.
extern "C" int dlclose(void* /*handle*/) noexcept {
  return 0;
}
