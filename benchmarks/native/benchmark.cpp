/**
 * Google Benchmark over the matrix: the calls of the C ABI from C++, and the passes that are their
 * limit.
 *
 * Options beside those of Google Benchmark: --matrix=FILE; --threads=N, threads per call;
 * --kernels=true, every kernel that accepts the cell as well, by force.
 */
#include <benchmark/benchmark.h>

#include <cstring>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

#include "cell.hpp"
#include "composed.hpp"
#include "dispatch/dispatch.hpp"
#include "limit.h"
#include "matrix.hpp"
#if defined(FEATUREPOOL_XNNPACK)
#include "xnn_pooling.hpp"
#endif

namespace featurepool::bench {
namespace {

struct Options {
  std::string matrix = FEATUREPOOL_MATRIX;
  int threads = 1;
  bool kernels = false;
};

Options parse(int count, char** arguments) {
  Options options;
  for (int i = 1; i < count; ++i) {
    const std::string argument = arguments[i];
    const auto value = argument.substr(argument.find('=') + 1);
    if (argument.starts_with("--matrix=")) {
      options.matrix = value;
    } else if (argument.starts_with("--threads=")) {
      options.threads = std::atoi(value.c_str());
    } else if (argument == "--kernels=true" || argument == "--kernels=false") {
      options.kernels = value == "true";
    } else {
      throw std::invalid_argument(argument +
                                  " is unknown; beside Google Benchmark's own options there are "
                                  "--matrix=FILE, --threads=N and --kernels=true");
    }
  }
  if (fpool_set_threads(options.threads) != FPOOL_OK) {
    throw std::invalid_argument("--threads: " + std::string(fpool_last_error()));
  }
  return options;
}

/** `kernel`, if not empty, is forced. */
void run_cell(benchmark::State& state, const Call& call, const std::string& kernel) {
  dispatch::use_kernel(kernel);
  Cell cell(call);
  for (auto _ : state) cell.run();
  state.SetBytesProcessed(state.iterations() * (call.read_bytes() + call.write_bytes()));
  state.SetLabel(kernel_for(call));
  dispatch::use_kernel("");
}

void run_composed(benchmark::State& state, const Composed& call) {
  for (auto _ : state) call.run();
  state.SetBytesProcessed(state.iterations() * (call.read_bytes + call.write_bytes));
}

#if defined(FEATUREPOOL_XNNPACK)
/** Not timed unless it computes what Featurepool does. */
void run_xnnpack(benchmark::State& state, const Call& call, int threads) {
  Cell cell(call);
  cell.run();
  XnnPooling peer(call, threads);
  peer.run(cell.x().data());
  if (!peer.agrees(cell.y().data())) {
    state.SkipWithError("the result differs from Featurepool's");
    return;
  }
  for (auto _ : state) peer.run_again();
  state.SetBytesProcessed(state.iterations() * (call.read_bytes() + call.write_bytes()));
}
#endif

void run_limit(benchmark::State& state, const Call& call, bool streaming, int threads) {
  const std::int64_t writes = call.global ? 0 : call.write_bytes();
  const Buffer in(call.read_bytes());
  const Buffer out(writes);
  std::memset(in.data(), 0x3C, static_cast<std::size_t>(call.read_bytes()));
  std::memset(out.data(), 0x3C, static_cast<std::size_t>(writes));
  for (auto _ : state) {
    fplimit_pass(in.data(), call.read_bytes(), out.data(), writes, streaming, threads);
  }
  state.SetBytesProcessed(state.iterations() * (call.read_bytes() + call.write_bytes()));
}

/** What a call costs whatever it computes: compare with the same from Java. */
void register_overhead() {
  benchmark::RegisterBenchmark("overhead/abi_version", [](benchmark::State& state) {
    for (auto _ : state) benchmark::DoNotOptimize(fpool_abi_version());
  });
  benchmark::RegisterBenchmark("overhead/max_1x16x4x4", [](benchmark::State& state) {
    Row row;
    row.op = "max";
    row.direction = "forward";
    row.n = 1;
    row.c = 16;
    row.spatial = {1, 4, 4};
    row.kernel = row.stride = {2, 2};
    row.pad = {0, 0};
    const Call call = call_of(row).value();
    Cell cell(call);
    for (auto _ : state) cell.run();
    state.SetLabel(kernel_for(call));
  });
}

void register_row(const Row& row, const Options& options) {
  if (const std::optional<ComposedMaker> composed = composed_of(row)) {
    benchmark::RegisterBenchmark(row.id.c_str(), [make = *composed](benchmark::State& state) {
      run_composed(state, make());
    })->UseRealTime();
    return;
  }
  const std::optional<Call> found = call_of(row);
  if (!found) {
    std::cerr << row.id << ": there is no " << row.op << ' ' << row.direction << '\n';
    return;
  }
  const Call call = *found;
  const auto add = [&](const std::string& name, auto body) {
    benchmark::RegisterBenchmark((row.id + name).c_str(), body)->UseRealTime();
  };
  add("", [call](benchmark::State& state) { run_cell(state, call, ""); });
  if (options.kernels) {
    for (const std::string& kernel : dispatch::kernels(call.operation)) {
      dispatch::use_kernel(kernel);
      const bool accepted = kernel_for(call) == kernel;
      dispatch::use_kernel("");
      if (!accepted) continue;
      add("/kernel:" + kernel,
          [call, kernel](benchmark::State& state) { run_cell(state, call, kernel); });
    }
  }
  const int threads = options.threads;
#if defined(FEATUREPOOL_XNNPACK)
  if (XnnPooling::has(call)) {
    add("/xnnpack",
        [call, threads](benchmark::State& state) { run_xnnpack(state, call, threads); });
  }
#endif
  add("/limit:plain",
      [call, threads](benchmark::State& state) { run_limit(state, call, false, threads); });
  if (!call.global) {
    add("/limit:streaming",
        [call, threads](benchmark::State& state) { run_limit(state, call, true, threads); });
  }
}

}  // namespace
}  // namespace featurepool::bench

int main(int count, char** arguments) {
  using namespace featurepool::bench;
  try {
    benchmark::Initialize(&count, arguments);
    const Options options = parse(count, arguments);
    register_overhead();
    for (const Row& row : read_matrix(std::filesystem::path(options.matrix))) {
      register_row(row, options);
    }
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
    return 0;
  } catch (const std::exception& problem) {
    std::cerr << "featurepool_benchmark: " << problem.what() << '\n';
    return 2;
  }
}
