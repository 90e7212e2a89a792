#include "sim/workload/random.h"

#include <cmath>
#include <cstddef>

namespace headroom {
namespace {

// c[0] + c[1] x + ... + c[7] x^7.
double polynomial(const double (&c)[8], double x) {
  double sum = c[7];
  for (std::size_t i = 7; i-- > 0;) sum = sum * x + c[i];
  return sum;
}

// Numerators and denominators of Wichura's rational approximations PPND16: Algorithm AS 241, Applied Statistics 37
// (1988), 477-484.
constexpr double kCentreOver[8] = {3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
                                   1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
                                   3.3430575583588128105e4, 2.5090809287301226727e3};
constexpr double kCentreUnder[8] = {1.0,
                                    4.2313330701600911252e1,
                                    6.8718700749205790830e2,
                                    5.3941960214247511077e3,
                                    2.1213794301586595867e4,
                                    3.9307895800092710610e4,
                                    2.8729085735721942674e4,
                                    5.2264952788528545610e3};
constexpr double kSideOver[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                 3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                 2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kSideUnder[8] = {1.0,
                                  2.05319162663775882187e0,
                                  1.67638483018380384940e0,
                                  6.89767334985100004550e-1,
                                  1.48103976427480074590e-1,
                                  1.51986665636164571966e-2,
                                  5.47593808499534494600e-4,
                                  1.05075007164441684324e-9};
constexpr double kTailOver[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                 2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                 2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double kTailUnder[8] = {1.0,
                                  5.99832206555887937690e-1,
                                  1.36929880922735805310e-1,
                                  1.48753612908506148525e-2,
                                  7.86869131145613259100e-4,
                                  1.84631831751005468180e-5,
                                  1.42151175831644588870e-7,
                                  2.04426310338993978564e-15};

}  // namespace

Random::Random(std::uint64_t seed, std::string_view source) {
  std::uint64_t x = seed + 0x9e3779b97f4a7c15ULL;
  for (const char c : source) x = (x ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  for (std::uint64_t& word : state_) {  // splitmix64
    x += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    word = z ^ (z >> 31);
  }
}

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::abs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(kCentreOver, r) / polynomial(kCentreUnder, r);
  }
  const double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  const double size = r <= 5 ? polynomial(kSideOver, r - 1.6) / polynomial(kSideUnder, r - 1.6)
                             : polynomial(kTailOver, r - 5) / polynomial(kTailUnder, r - 5);
  return q < 0 ? -size : size;
}

double Random::exponential(double mean) {
  return -mean * std::log(uniform());
}

double Random::lognormal(double mean, double cv) {
  const double variance = std::log1p(cv * cv);
  return mean * std::exp(std::sqrt(variance) * normal() - variance / 2);
}

// Marsaglia and Tsang, ACM Trans. Math. Softw. 26 (2000), 363-372; a shape below 1 is brought above it by their
// section 6: gamma(k) = gamma(k + 1) * U^(1/k).
double Random::gamma(double shape, double scale) {
  if (shape == 1) return exponential(scale);
  if (shape < 1) {
    const double root = std::pow(uniform(), 1 / shape);
    return gamma(shape + 1, scale) * root;
  }
  const double d = shape - 1.0 / 3;
  for (;;) {
    const double x = normal();
    const double t = 1 + x / (3 * std::sqrt(d));
    if (t <= 0) continue;
    const double v = t * t * t;
    if (std::log(uniform()) < x * x / 2 + d - d * v + d * std::log(v)) return scale * d * v;
  }
}

std::int64_t Random::geometric(double mean) {
  if (mean <= 1) return 1;
  return 1 + static_cast<std::int64_t>(std::log(uniform()) / std::log1p(-1 / mean));
}

}  // namespace headroom
