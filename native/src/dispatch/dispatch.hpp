#pragma once

#include <string>
#include <vector>

#include "dispatch/calls.hpp"

/**
 * Choice of instruction set and kernel, and the run of a call on the process-wide threads.
 *
 * What is chosen follows FEATUREPOOL_MAX_ISA, FEATUREPOOL_KERNEL, FEATUREPOOL_THREADS and
 * FEATUREPOOL_LEAST_SHARED_BYTES (a call that moves less stays with its caller's thread), read
 * once; a value that names nothing is an Error in every call, never a silent fallback.
 */
namespace featurepool::dispatch {

/** Runs a checked call of a type in FEATUREPOOL_CALLS with the fastest kernel that accepts it. */
template <class Call>
void run(const Call& call);

/**
 * run() on the caller's thread alone and with the fastest kernel, whichever may be forced: for the
 * parts of a call that a kernel was chosen for already.
 */
template <class Call>
void run_here(const Call& call);

/** The tiers that this machine can run, slowest first. */
std::vector<std::string> tiers();

/** The tier in use. */
const char* active_tier();

/** Uses `tier` from now on; empty: what the environment says. For tests; not while calls run. */
void use_tier(const std::string& tier);

/** The kernels of an operation, fastest first, "reference" last. */
std::vector<std::string> kernels(Operation operation);

/** The name of an operation, as dispatch/operations.def has it. */
const char* operation_name(Operation operation);

/** The kernel that run() would use for a call. */
template <class Call>
std::string kernel_for(const Call& call);

/**
 * Uses `kernel` wherever it accepts the call and the reference elsewhere; empty: what the
 * environment says. For tests and for comparing; not while calls run.
 */
void use_kernel(const std::string& kernel);

/** Threads that one call may use; see fpool_set_threads(). */
void set_threads(int threads);
int get_threads();

}  // namespace featurepool::dispatch
