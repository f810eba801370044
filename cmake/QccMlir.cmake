# LLVM, MLIR, TableGen and the precompiled header: everything that only the compiler needs.

find_package(MLIR 22.1 REQUIRED CONFIG)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

separate_arguments(QCC_LLVM_DEFINITIONS NATIVE_COMMAND "${LLVM_DEFINITIONS}")

# Headers that nearly every compiler source includes. A heavy source takes 15 s without and under 1 s with them.
add_library(qcc_pch OBJECT ${PROJECT_SOURCE_DIR}/cmake/pch.cpp)

include_directories(SYSTEM ${MLIR_INCLUDE_DIRS}) # TableGen's include path is the directory's

# Settings of a target that includes LLVM or MLIR headers.
function(qcc_use_mlir target)
  target_include_directories(${target} SYSTEM PUBLIC ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR})
  target_compile_definitions(${target} PRIVATE ${QCC_LLVM_DEFINITIONS})
  target_compile_options(${target} PRIVATE -fno-exceptions $<$<CXX_COMPILER_ID:Clang>:SHELL:-Xclang -fno-pch-timestamp>)
endfunction()
qcc_use_mlir(qcc_pch)
target_precompile_headers(qcc_pch PRIVATE ${PROJECT_SOURCE_DIR}/cmake/pch.h)
set_target_properties(qcc_pch PROPERTIES CMAKE_PCH_INSTANTIATE_TEMPLATES ON PCH_INSTANTIATE_TEMPLATES ON)

# qcc_compiler_library(NAME source... [DEPENDS target...] [LINK library...]): one folder of lib/ or dialects/.
function(qcc_compiler_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS;LINK" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  qcc_use_mlir(${name})
  target_precompile_headers(${name} REUSE_FROM qcc_pch)
  target_link_libraries(${name} PUBLIC ${ARG_LINK})
  if(ARG_DEPENDS)
    add_dependencies(${name} ${ARG_DEPENDS})
  endif()
endfunction()

# What the compiler uses of MLIR, and what that needs, goes into the programs: with libMLIR.so, most of a small model's
# compilation would be the search for the library's 80,000 symbols.
set(QCC_MLIR_LIBRARIES MLIRArithToLLVM MLIRArithTransforms MLIRBuiltinToLLVMIRTranslation MLIRBytecodeReader
    MLIRBytecodeWriter MLIRControlFlowToLLVM MLIRExecutionEngineUtils MLIRFuncToLLVM MLIRLLVMToLLVMIRTranslation
    MLIRMathToLLVM MLIRMathToLibm MLIRMathTransforms MLIRNVVMToLLVMIRTranslation MLIRParser MLIRReconcileUnrealizedCasts
    MLIRSCFToControlFlow MLIRTargetLLVMIRExport MLIRTransforms MLIRVectorToLLVMPass)

# qcc_compiler_tool(NAME source... [LINK library...]): a program that contains the compiler.
function(qcc_compiler_tool name)
  cmake_parse_arguments(ARG "" "" "LINK" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  qcc_use_mlir(${name})
  # The precompiled header is made for -fPIC; CMake would compile a program with -fPIE.
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
  target_compile_options(${name} PRIVATE -fPIC)
  target_precompile_headers(${name} REUSE_FROM qcc_pch)
  target_link_directories(${name} PRIVATE ${LLVM_LIBRARY_DIRS})
  target_link_options(${name} PRIVATE -fuse-ld=lld -Wl,--gc-sections -Wl,-rpath,${LLVM_LIBRARY_DIRS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK} ${QCC_MLIR_LIBRARIES} LLVM)
endfunction()

# qcc_tablegen_dialect(NAME folder): NAME.td in this folder to NAMEOps and NAMEDialect includes.
function(qcc_tablegen_dialect name dialect)
  set(LLVM_TARGET_DEFINITIONS ${name}.td)
  mlir_tablegen(${name}Dialect.h.inc -gen-dialect-decls -dialect=${dialect})
  mlir_tablegen(${name}Dialect.cpp.inc -gen-dialect-defs -dialect=${dialect})
  mlir_tablegen(${name}Ops.h.inc -gen-op-decls)
  mlir_tablegen(${name}Ops.cpp.inc -gen-op-defs)
  mlir_tablegen(${name}Attrs.h.inc -gen-attrdef-decls -attrdefs-dialect=${dialect})
  mlir_tablegen(${name}Attrs.cpp.inc -gen-attrdef-defs -attrdefs-dialect=${dialect})
  mlir_tablegen(${name}Types.h.inc -gen-typedef-decls -typedefs-dialect=${dialect})
  mlir_tablegen(${name}Types.cpp.inc -gen-typedef-defs -typedefs-dialect=${dialect})
  add_public_tablegen_target(qcc_${dialect}_tablegen)
  add_dependencies(qcc_pch qcc_${dialect}_tablegen)
endfunction()
