// One measured point, and the tables that measurements are kept in.
//
// A family is a kind of kernel with named columns; a point is a row of it. The tables of a profile are the families
// that the simulator reads; the others are written beside them for people.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace headroom {

enum class Family {
  kGemm,
  kDecodeAttention,
  kUnequalDecode,
  kDecodeLayout,
  kPrefillAttention,
  kEagerAttention,
  kStreaming,
  kSampling,
  kHostCopy,
  kOverhead,
  kCollective
};

struct FamilyEntry {
  Family family;
  std::string_view name;                  // of the table's file
  std::string_view label;                 // column of the text that tells kinds apart: a dtype or a kernel's name
  std::vector<std::string_view> columns;  // of the whole numbers
};
const FamilyEntry& entry_of(Family family);
std::span<const FamilyEntry> families();

struct MeasuredPoint {
  Family family{};
  std::string label;
  std::vector<std::int64_t> key;
  double seconds = 0;  // median
  double spread = 0;   // interquartile range over the median
  std::int64_t repetitions = 0;
};

// The upper one of two in the middle; 0 of none.
double median(std::vector<double> values);

// Median, interquartile range and count of samples.
void summarize_samples(std::vector<double> samples, MeasuredPoint& point);

// label,columns...,time_us,spread_pct,repetitions; the points of one family.
std::string table_csv(Family family, std::span<const MeasuredPoint> points);
// The points of a table that table_csv() wrote.
std::vector<MeasuredPoint> read_table(Family family, const std::string& path);

}  // namespace headroom
