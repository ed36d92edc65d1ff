//! The `fsu-mock` program. Everything is in the library.

use fsu_mock::exit::Exit;
use fsu_net::sys::Careful;

#[global_allocator]
static ALLOCATOR: Careful<std::alloc::System, { Exit::Machine as i32 }> = Careful(std::alloc::System);

fn main() -> std::process::ExitCode {
    fsu_mock::main(std::env::args_os())
}
