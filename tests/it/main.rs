mod deploy;
mod tree;
