// The window that a convolution or a pooling moves over the spatial axes of an N x C x D1 x ... x Dn tensor.
#pragma once

#include "qcc/Operator/Infer.h"
#include "qcc/Target/KnownAxis.h"

namespace qcc {

/// One spatial axis: output position o reads the input positions o * stride + k * dilation - before, 0 <= k < kernel.
struct WindowAxis {
  Dim input, kernel, output;
  Dim before, after; // padding
  int64_t stride = 1, dilation = 1;

  /// Positions from the first to the last tap of one window.
  Dim extent(Dimensions &dims) const {
    return dims.add(dims.mul(dims.sub(kernel, dims.constant(1)), dims.constant(dilation)), dims.constant(1));
  }
};
/// The axis, where all of its lengths are known.
std::optional<KnownAxis> knownAxis(const WindowAxis &axis);
using Window = llvm::SmallVector<WindowAxis>;

/// The lengths of the spatial axes of operand `i`.
llvm::SmallVector<Dim> spatialDims(const Node &node, unsigned i);
llvm::SmallVector<Dim> outputDims(const Window &window);
llvm::SmallVector<Dim> kernelDims(const Window &window);

/// An attribute of one number per spatial axis (`perAxis` = 1) or two (pads); `otherwise` where it is missing. Reports
/// a wrong count and numbers below `least`.
mlir::FailureOr<llvm::SmallVector<int64_t>> axisAttr(const Node &node, llvm::StringRef name, int64_t axes,
                                                     int64_t otherwise, int64_t least, int64_t perAxis = 1);

/// The window that strides, dilations, pads, auto_pad and ceil_mode say for a kernel over operand `i`. What is wrong is
/// reported.
mlir::FailureOr<Window> windowOf(const Node &node, Dimensions &dims, llvm::ArrayRef<Dim> input,
                                 llvm::ArrayRef<Dim> kernel);

/// Whether every window lies within the input and windows step by one position, as the attributes alone say it.
bool isPlain(const Node &node);

/// The kernel's lengths by the attribute kernel_shape, which must have one for each spatial axis of operand 0.
mlir::FailureOr<llvm::SmallVector<Dim>> kernelShape(const Node &node, Dimensions &dims);
/// The kernel's lengths by the shape of operand `weights`, behind its first two axes; reports a rank that does not fit
/// operand `input`, or a kernel_shape that differs.
mlir::FailureOr<llvm::SmallVector<Dim>> kernelOfWeights(const Node &node, unsigned weights, unsigned input);
/// Reports a bias, where operand `i` is there, that is not one number for each of `channels`.
mlir::LogicalResult checkBias(Infer &infer, unsigned i, Dim channels);

} // namespace qcc
