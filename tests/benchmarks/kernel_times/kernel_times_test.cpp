#include "benchmarks/kernel_times/kernel_times.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace rubato {
namespace {

using ::testing::HasSubstr;

TEST(KernelTimes, AreCountedAndSummedByNameWhatTookLongestFirst) {
  const auto kernels = times_by_name({{"norm", 0, 1000, 7},
                                      {"gemm", 1000, 9000, 7},
                                      {"norm", 9000, 13000, 7},
                                      {"norm", 13000, 15000, 7}});
  ASSERT_EQ(kernels.size(), 2);
  EXPECT_EQ(kernels[0].name, "gemm");
  EXPECT_EQ(kernels[0].count, 1);
  EXPECT_EQ(kernels[0].total_us, 8);
  EXPECT_EQ(kernels[1].name, "norm");
  EXPECT_EQ(kernels[1].count, 3);
  EXPECT_EQ(kernels[1].total_us, 7);
  EXPECT_EQ(kernels[1].median_us, 2);
}

TEST(KernelTimes, AGapIsWhatLiesBetweenAKernelAndAllBeforeItOnItsStream) {
  const auto kernels = times_by_name({{"b", 5000, 6000, 1},    // 3 us behind the first
                                      {"a", 1000, 2000, 1},    // the first of its stream: none
                                      {"b", 6500, 7000, 1},    // half a microsecond
                                      {"c", 6900, 9000, 1},    // begins before that has ended
                                      {"d", 10000, 11000, 1},  // behind c
                                      {"a", 3000, 4000, 2}});  // the first of another stream
  ASSERT_EQ(kernels.size(), 4);
  for (const KernelTimes& k : kernels) {
    const double total = k.name == "b" ? 3.5 : k.name == "d" ? 1 : 0;
    EXPECT_DOUBLE_EQ(k.total_gap_us, total) << k.name;
    EXPECT_DOUBLE_EQ(k.median_gap_us, k.name == "b" ? 1.75 : total) << k.name;
  }
}

TEST(KernelTimes, OfNothingAreNone) {
  EXPECT_TRUE(times_by_name({}).empty());
  EXPECT_THAT(to_table({}), HasSubstr("busy 0.000 ms"));
}

TEST(KernelNames, AreThoseOfTheSourcesWithoutResultAndParameters) {
  EXPECT_EQ(readable_name("_ZN6rubato4cuda4normEPKfi"), "rubato::cuda::norm");
  EXPECT_EQ(readable_name("_ZN12_GLOBAL__N_14normILi64EEEvPKf"), "(anonymous namespace)::norm<64>");
  EXPECT_EQ(readable_name("_ZN6rubato5applyEPFviE"), "rubato::apply");  // takes a function
}

TEST(KernelNames, OfWhatIsNotMangledStay) {
  EXPECT_EQ(readable_name("nvjet_hsh_64x8_64x16(x)"), "nvjet_hsh_64x8_64x16(x)");
  EXPECT_EQ(readable_name("[fill]"), "[fill]");
}

TEST(KernelReport, HasEachNameWithItsNumbers) {
  const auto kernels = times_by_name({{"gemm<\"a\">", 0, 3000, 0}, {"norm", 4000, 5000, 0}});
  const boost::json::value report = boost::json::parse(to_json(kernels));
  EXPECT_EQ(report.at("kernels"), boost::json::parse(R"([
    {"name": "gemm<\"a\">", "count": 1, "total_us": 3.0, "median_us": 3.0, "total_gap_us": 0.0, "median_gap_us": 0.0},
    {"name": "norm", "count": 1, "total_us": 1.0, "median_us": 1.0, "total_gap_us": 1.0, "median_gap_us": 1.0}])"));
  const std::string table = to_table(kernels);
  EXPECT_THAT(table,
              HasSubstr("busy 0.004 ms, between one end and the next begin on a stream 0.001 ms"));
  EXPECT_THAT(table,
              HasSubstr("      1       0.003   75.0%        3.00           0.00  gemm<\"a\">\n"));
}

}  // namespace
}  // namespace rubato
