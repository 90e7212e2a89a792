// Mutants chosen at run time: HEADROOM_MUTANT=N in the environment makes site N of the rewritten sources behave
// otherwise, all others behave as written. mutate.py rewrites, and compiles what it rewrote with this file in front.
//
//   a < b        becomes  a < mutation::Op<N, '<', 'l'>{} < b       the same operator, so the same precedence
//   if (c)       becomes  if (mutation::negated<N>(c))
//   7            becomes  mutation::number<N>(7)
//   std::min(    becomes  mutation::least<N>(
//   f(x);        becomes  { if (!mutation::on<N>()) f(x); }
//
// Where the other operator has no meaning for the operands, the site says so (HEADROOM_MUTANT=list) and is not counted.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <type_traits>

namespace mutation {

inline const char* const kWanted = std::getenv("HEADROOM_MUTANT");
inline const int kActive = kWanted != nullptr ? std::atoi(kWanted) : 0;

template <int N>
constexpr bool on() {
  return !std::is_constant_evaluated() && kActive == N;
}

template <int N>
struct Inapplicable {
  static inline const bool kSaid = [] {
    if (kWanted != nullptr && std::string_view(kWanted) == "list") std::printf("inapplicable %d\n", N);
    return true;
  }();
};

template <int N, char Was, char Is>
struct Op {};
template <class Left, int N, char Was, char Is>
struct Held {
  const Left& left;
};

template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '<', decltype(a < b)> {
  return a < b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == 'l', decltype(a <= b)> {
  return a <= b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '>', decltype(a > b)> {
  return a > b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == 'g', decltype(a >= b)> {
  return a >= b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '=', decltype(a == b)> {
  return a == b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '!', decltype(a != b)> {
  return a != b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '+', decltype(a + b)> {
  return a + b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '-', decltype(a - b)> {
  return a - b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '*', decltype(a * b)> {
  return a * b;
}
template <char Sign, class A, class B>
constexpr auto apply(const A& a, const B& b) -> std::enable_if_t<Sign == '/', decltype(a / b)> {
  return a / b;
}

template <int N, char Was, char Is, class A, class B>
constexpr auto chosen(const A& a, const B& b) {
  using Result = decltype(apply<Was>(a, b));
  if constexpr (requires {
                  { apply<Is>(a, b) } -> std::same_as<Result>;
                }) {
    return on<N>() ? apply<Is>(a, b) : apply<Was>(a, b);
  } else {
    (void)Inapplicable<N>::kSaid;
    return apply<Was>(a, b);
  }
}

#define MUTATION_OPERATOR(sign)                                             \
  template <class A, int N, char Was, char Is>                              \
  constexpr Held<A, N, Was, Is> operator sign(const A& a, Op<N, Was, Is>) { \
    return {a};                                                             \
  }                                                                         \
  template <class A, class B, int N, char Was, char Is>                     \
  constexpr auto operator sign(Held<A, N, Was, Is> a, const B& b) {         \
    return chosen<N, Was, Is>(a.left, b);                                   \
  }
MUTATION_OPERATOR(<)
MUTATION_OPERATOR(<=)
MUTATION_OPERATOR(>)
MUTATION_OPERATOR(>=)
MUTATION_OPERATOR(==)
MUTATION_OPERATOR(!=)
MUTATION_OPERATOR(+)
MUTATION_OPERATOR(-)
MUTATION_OPERATOR(*)
MUTATION_OPERATOR(/)
#undef MUTATION_OPERATOR

template <int N, class C>
constexpr bool negated(const C& condition) {
  return static_cast<bool>(condition) != on<N>();
}
template <int N, class T>
constexpr T number(T value) {
  return on<N>() ? value + 1 : value;
}
template <int N, class T>
constexpr T least(const T& a, const T& b) {
  return on<N>() ? std::max(a, b) : std::min(a, b);
}
template <int N, class T>
constexpr T most(const T& a, const T& b) {
  return on<N>() ? std::min(a, b) : std::max(a, b);
}

}  // namespace mutation
