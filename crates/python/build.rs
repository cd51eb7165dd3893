fn main() {
    // Gives this crate the same `Py_3_12`, `Py_GIL_DISABLED` ... as PyO3 itself.
    pyo3_build_config::use_pyo3_cfgs();
}
