//! Compiles anew when the embedded configuration changes; a new file there is no other file's dependency.

fn main() {
    println!("cargo:rerun-if-changed=config");
}
