// The operator families of this folder, one source file each.
#pragma once

namespace qcc {

class OperatorRegistry;

void registerArrange(OperatorRegistry &);
void registerConcat(OperatorRegistry &);
void registerDimensions(OperatorRegistry &);
void registerExpand(OperatorRegistry &);
void registerGather(OperatorRegistry &);
void registerGenerate(OperatorRegistry &);
void registerPad(OperatorRegistry &);
void registerReshape(OperatorRegistry &);
void registerScatter(OperatorRegistry &);
void registerSelect(OperatorRegistry &);
void registerSlice(OperatorRegistry &);
void registerTranspose(OperatorRegistry &);
void registerUnique(OperatorRegistry &);

} // namespace qcc
