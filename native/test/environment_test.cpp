// The environment variables: each is read once per process, so each case is a process of its own.

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <string>

namespace {

/** What environment_probe prints under the given assignments. */
std::string probe(const std::string& assignments) {
  const std::string command =
      "env -u FEATUREPOOL_MAX_ISA -u FEATUREPOOL_KERNEL -u FEATUREPOOL_THREADS "
      "-u FEATUREPOOL_LEAST_SHARED_BYTES " +
      assignments + " " FEATUREPOOL_EMULATOR " '" FEATUREPOOL_PROBE "'";
  std::FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::string output;
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) output += static_cast<char>(c);
  const int status = pclose(pipe);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << " ended with " << status;
  return output;
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << text;
}

constexpr const char* kLeastTier = FEATUREPOOL_LEAST_TIER;

TEST(Environment, Defaults) { expect_contains(probe(""), "small=0 large=0 wrong=0"); }

TEST(Environment, MaxIsaCapsTheTier) {
  const std::string output = probe(std::string("FEATUREPOOL_MAX_ISA=") + kLeastTier);
  expect_contains(output, "small=0 large=0 wrong=0");
  expect_contains(output, std::string("isa=") + kLeastTier);
}

TEST(Environment, AnUnknownTierIsAnErrorInEveryCall) {
  const std::string output = probe("FEATUREPOOL_MAX_ISA=bogus");
  expect_contains(output, "small=7 large=7 wrong=0 isa=none");
  expect_contains(output, "FEATUREPOOL_MAX_ISA is 'bogus'; it must be one of");
  expect_contains(output, kLeastTier);
}

TEST(Environment, KernelForcesOne) {
  expect_contains(probe("FEATUREPOOL_KERNEL=reference"), "small=0 large=0 wrong=0");
}

TEST(Environment, AnUnknownKernelIsAnErrorInEveryCall) {
  const std::string output = probe("FEATUREPOOL_KERNEL=bogus");
  expect_contains(output, "small=7 large=7 wrong=0");
  expect_contains(output, "FEATUREPOOL_KERNEL is 'bogus'; it must be one of");
  expect_contains(output, "reference");
}

TEST(Environment, ThreadsSetsTheDefault) {
  expect_contains(probe("FEATUREPOOL_THREADS=1"), "small=0 large=0 wrong=0");
  const std::string output = probe("FEATUREPOOL_THREADS=4");
  expect_contains(output, "small=0 large=0 wrong=0");
  expect_contains(output, "threads=4");
}

TEST(Environment, ABadNumberOfThreadsIsAnErrorInEveryCall) {
  for (const std::string value : {"0", "-1", "1025", "abc", "2x", "99999999999999999999"}) {
    const std::string output = probe("FEATUREPOOL_THREADS=" + value);
    expect_contains(output, "small=7 large=7 wrong=0");
    expect_contains(output, "threads=-1");
    expect_contains(output, "FEATUREPOOL_THREADS is '" + value + "'; it must be 1 to 1024");
  }
}

TEST(Environment, ABadNumberOfSharedBytesIsAnErrorInEveryCall) {
  expect_contains(probe("FEATUREPOOL_LEAST_SHARED_BYTES=0"), "small=0 large=0 wrong=0");
  for (const std::string value : {"-1", "1e6", "2x", "9999999999999999999"}) {
    const std::string output = probe("FEATUREPOOL_LEAST_SHARED_BYTES=" + value);
    expect_contains(output, "small=7 large=7 wrong=0");
    expect_contains(output,
                    "FEATUREPOOL_LEAST_SHARED_BYTES is '" + value + "'; it must be a number");
  }
}

}  // namespace
