//! The `fsu-mock` program; everything is in the library.

use fsu_mock::shard::Careful;

#[global_allocator]
static ALLOCATOR: Careful<std::alloc::System> = Careful(std::alloc::System);

fn main() -> std::process::ExitCode {
    fsu_mock::cli::main(std::env::args_os())
}
