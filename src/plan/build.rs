//! Compiles again when an embedded configuration changes; a new file there is no other file's dependency.

fn main() {
    println!("cargo:rerun-if-changed=../../config");
    println!("cargo:rerun-if-changed=../../docs/examples/minimal");
}
