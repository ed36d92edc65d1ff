#!/usr/bin/env bash
# Runs a test program for mutants.sh and stops at the first failure. Skips tests that run the program, and tests that take
# seconds.
left_out=()
for test in explain complexity:: limit_nodes_max limit_fsus_max limit_files_max limit_file_bytes_max fields_that_no_frame hostile_bytes_end schemas_of_the_load_generator; do
    left_out+=(--skip "$test")
done
# An option of the test harness that a stable toolchain keeps to itself.
RUSTC_BOOTSTRAP=1 exec "$@" -Zunstable-options --fail-fast "${left_out[@]}"
