#include "matrix.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <string>

namespace featurepool::bench {
namespace {

const std::string kHeader = "id,op,direction,layout,dtype,n,c,d,h,w,kernel,stride,pad,from\n";

std::vector<Row> read(const std::string& rows) {
  std::istringstream in(kHeader + rows);
  return read_matrix(in);
}

std::string refusal(const std::string& rows) {
  try {
    read(rows);
    return "";
  } catch (const std::invalid_argument& problem) {
    return problem.what();
  }
}

TEST(Matrix, ReadsARow) {
  const Row row = read("a,max,forward_mask,nhwc,u8,8,64,1,224,112,3x2,2x1,1x0,somewhere\r\n").at(0);
  EXPECT_EQ(row.id, "a");
  EXPECT_EQ(row.op, "max");
  EXPECT_EQ(row.direction, "forward_mask");
  EXPECT_TRUE(row.interleaved);
  EXPECT_TRUE(row.u8);
  EXPECT_EQ(row.n, 8);
  EXPECT_EQ(row.c, 64);
  EXPECT_EQ(row.spatial, (std::array<std::int64_t, 3>{1, 224, 112}));
  EXPECT_EQ(row.kernel, (std::vector<std::int64_t>{3, 2}));
  EXPECT_EQ(row.stride, (std::vector<std::int64_t>{2, 1}));
  EXPECT_EQ(row.pad, (std::vector<std::int64_t>{1, 0}));
}

TEST(Matrix, LeavesWhatIsNoWindowEmpty) {
  const Row row = read("a,spp_block,forward,nchw,f32,1,2,1,3,4,5;9;13,1x1,same,x\n").at(0);
  EXPECT_TRUE(row.kernel.empty());
  EXPECT_TRUE(row.pad.empty());
  EXPECT_EQ(row.stride.size(), 2U);
  EXPECT_EQ(row.levels, (std::vector<std::int64_t>{5, 9, 13}));
  EXPECT_EQ(row.clusters, 0);
  EXPECT_EQ(read("a,netvlad,forward,nchw,f32,1,2,1,3,4,K=64,,,x\n").at(0).clusters, 64);
}

TEST(Matrix, SaysWhatIsWrong) {
  EXPECT_EQ(refusal("a,max,forward,nchw,f32,1,2,1,3\n"),
            "line 2 has 9 columns; the first line has 14");
  EXPECT_EQ(refusal("a,max,forward,nchw,f32,one,2,1,3,4,2x2,2x2,0x0,x\n"),
            "line 2: n is 'one'; it must be a whole number");
  EXPECT_EQ(refusal("a,max,forward,hwc,f32,1,2,1,3,4,2x2,2x2,0x0,x\n"),
            "line 2: layout is 'hwc'; it must be nchw or nhwc");
  EXPECT_EQ(refusal(""), "there are no cells");
}

TEST(Matrix, ReadsTheProjectsOwn) {
  const std::vector<Row> rows = read_matrix(std::filesystem::path(FEATUREPOOL_MATRIX));
  EXPECT_EQ(rows.size(), 44U);
  const auto c3d =
      std::find_if(rows.begin(), rows.end(), [](const Row& row) { return row.id == "c3d_pool2"; });
  ASSERT_NE(c3d, rows.end());
  EXPECT_EQ(c3d->kernel, (std::vector<std::int64_t>{2, 2, 2}));
}

}  // namespace
}  // namespace featurepool::bench
