// RUN: qcc-opt %s --split-input-file --verify-diagnostics

// expected-note @+1 {{prior use here}}
func.func @units(%n: i32) {
  // expected-error @+1 {{use of value '%n' expects different type than prior uses: 'i64' vs 'i32'}}
  tile.launch @kernel over %n work %n()
  return
}

// -----

func.func @address() {
  // expected-error @+1 {{'tile.input' op result #0 must be LLVM pointer type, but got 'i64'}}
  %x = "tile.input"() {index = 0 : i64} : () -> i64
  return
}
