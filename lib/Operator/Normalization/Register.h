// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerBatchNormalization(OperatorRegistry &);
void registerEmbedLayerNormalization(OperatorRegistry &);
void registerImageNormalization(OperatorRegistry &);
void registerLayerNormalization(OperatorRegistry &);
void registerLocalNormalization(OperatorRegistry &);

} // namespace qcc
