# qcc_add_model(name MODEL f.onnx
#               [TARGET t...] [FMT f | RECIPE r] [HEAD_FMT f] [ACT a] [METHOD m] [CALIB d...] [GATE e...]
#               [FILES name=path...] [OPTIONS o...]
#               [LINK file|embed|static|shared] [HEADER h] [NAMESPACE n] [OUTPUT_DIRECTORY d]
#               [GOLDEN g...] [TOLERANCE x])
#
# Compiles an ONNX model, and makes the library `name` that gives a program the model: a typed header and the runtime,
# and with LINK embed, static or shared the artifact itself. See docs/cmake.md.
cmake_policy(PUSH)
cmake_policy(VERSION 3.20...3.25)

set(_QCC_PACKAGE_DIR ${CMAKE_CURRENT_LIST_DIR})

# The code that is generated where nothing is asked for: what a machine of this processor surely or nearly surely runs.
function(_qcc_default_targets out)
  string(TOLOWER "${CMAKE_SYSTEM_PROCESSOR}" processor)
  if(processor MATCHES "^(aarch64|arm64)$")
    set(${out} aarch64 PARENT_SCOPE)
  elseif(processor MATCHES "^(x86_64|amd64)$")
    set(${out} x86-64-v3 x86-64-v2 PARENT_SCOPE)
  else()
    message(FATAL_ERROR "qcc_add_model: no target is known for the processor '${CMAKE_SYSTEM_PROCESSOR}'; say TARGET")
  endif()
endfunction()

# A source that holds the artifact's bytes; it is C and C++ alike, because a project may have enabled either.
function(_qcc_embedding_source out symbol artifact)
  get_property(languages GLOBAL PROPERTY ENABLED_LANGUAGES)
  set(suffix cpp)
  if("C" IN_LIST languages)
    set(suffix c)
  endif()
  set(source ${CMAKE_CURRENT_BINARY_DIR}/${symbol}.${suffix})
  file(CONFIGURE OUTPUT ${source} @ONLY CONTENT [[/* The artifact's bytes. */
#include <stddef.h>

__asm__(".pushsection .rodata\n"
        ".balign 64\n"
        ".globl @symbol@_begin\n.hidden @symbol@_begin\n.type @symbol@_begin, %object\n"
        "@symbol@_begin:\n"
        ".incbin \"@artifact@\"\n"
        ".size @symbol@_begin, . - @symbol@_begin\n"
        ".globl @symbol@_end\n.hidden @symbol@_end\n"
        "@symbol@_end:\n"
        ".byte 0\n"
        ".popsection\n");

#ifdef __cplusplus
extern "C" {
#endif
extern __attribute__((visibility("hidden"))) const char @symbol@_begin[], @symbol@_end[];
__attribute__((visibility("default"))) const void *@symbol@(size_t *size);

const void *@symbol@(size_t *size) {
  *size = (size_t)(@symbol@_end - @symbol@_begin);
  return @symbol@_begin;
}
#ifdef __cplusplus
}
#endif
]])
  # Link-time optimization moves assembly away from the function that names its symbols.
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS ${artifact} COMPILE_OPTIONS -fno-lto)
  set(${out} ${source} PARENT_SCOPE)
endfunction()

function(_qcc_add_tests name artifact)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "TOLERANCE" "GOLDEN")
  add_test(NAME ${name}.verify COMMAND qcc::inspect --verify ${artifact})
  if(NOT arg_GOLDEN)
    return()
  endif()
  if(NOT TARGET qcc::run OR (CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR))
    message(STATUS "qcc_add_model(${name}): GOLDEN is not tested here: nothing runs ${CMAKE_SYSTEM_PROCESSOR}'s qcc-run")
    return()
  endif()
  set(options)
  foreach(golden IN LISTS arg_GOLDEN)
    get_filename_component(golden ${golden} ABSOLUTE)
    list(APPEND options --golden=${golden})
  endforeach()
  if(arg_TOLERANCE)
    list(APPEND options --tolerance=${arg_TOLERANCE})
  endif()
  get_target_property(run qcc::run IMPORTED_LOCATION)
  add_test(NAME ${name}.golden COMMAND ${CMAKE_CROSSCOMPILING_EMULATOR} ${run} ${artifact} ${options})
endfunction()

function(qcc_add_model name)
  cmake_parse_arguments(PARSE_ARGV 1 arg ""
    "MODEL;FMT;RECIPE;HEAD_FMT;ACT;METHOD;LINK;HEADER;NAMESPACE;OUTPUT_DIRECTORY;TOLERANCE"
    "TARGET;CALIB;GATE;FILES;OPTIONS;GOLDEN")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "qcc_add_model(${name}): unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_MODEL)
    message(FATAL_ERROR "qcc_add_model(${name}): MODEL is missing")
  endif()
  if(arg_FMT AND arg_RECIPE)
    message(FATAL_ERROR "qcc_add_model(${name}): FMT and RECIPE exclude each other")
  endif()
  if(NOT TARGET qcc::qcc OR NOT TARGET qcc::inspect)
    message(FATAL_ERROR "qcc_add_model(${name}): no qcc that runs on this machine was found; set QCC_EXECUTABLE")
  endif()
  if(NOT arg_TARGET)
    _qcc_default_targets(arg_TARGET)
  endif()
  if(NOT arg_LINK)
    set(arg_LINK file)
  elseif(NOT arg_LINK MATCHES "^(file|embed|static|shared)$")
    message(FATAL_ERROR "qcc_add_model(${name}): LINK ${arg_LINK}: there are file, embed, static and shared")
  endif()
  string(MAKE_C_IDENTIFIER "${name}" identifier)
  if(NOT arg_NAMESPACE)
    set(arg_NAMESPACE ${identifier})
  endif()
  if(NOT arg_HEADER)
    set(arg_HEADER ${name}.h)
  endif()
  if(NOT arg_OUTPUT_DIRECTORY)
    set(arg_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
    # Beside the programs.
    if(CMAKE_RUNTIME_OUTPUT_DIRECTORY)
      set(arg_OUTPUT_DIRECTORY ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
    endif()
  endif()
  get_filename_component(output ${arg_OUTPUT_DIRECTORY} ABSOLUTE BASE_DIR ${CMAKE_CURRENT_BINARY_DIR})
  file(MAKE_DIRECTORY ${output})
  set(artifact ${output}/${name}.qcc)
  set(plan ${output}/${name}.plan.json)
  set(depfile ${CMAKE_CURRENT_BINARY_DIR}/${name}.qcc.d)

  get_target_property(qcc qcc::qcc IMPORTED_LOCATION)
  get_target_property(inspect qcc::inspect IMPORTED_LOCATION)
  get_filename_component(model ${arg_MODEL} ABSOLUTE)
  string(REPLACE ";" "," targets "${arg_TARGET}")
  set(options --target=${targets})
  set(inputs ${qcc})
  if(NOT IS_DIRECTORY ${model})
    list(APPEND inputs ${model})
  endif()
  foreach(option FMT HEAD_FMT ACT METHOD)
    if(arg_${option})
      string(TOLOWER ${option} spelled)
      string(REPLACE _ - spelled ${spelled})
      list(APPEND options --${spelled}=${arg_${option}})
    endif()
  endforeach()
  foreach(option RECIPE CALIB)
    foreach(file IN LISTS arg_${option})
      string(TOLOWER ${option} spelled)
      get_filename_component(file ${file} ABSOLUTE)
      list(APPEND options --${spelled}=${file})
      list(APPEND inputs ${file})
    endforeach()
  endforeach()
  foreach(gate IN LISTS arg_GATE)
    list(APPEND options --fail-if=${gate})
  endforeach()
  foreach(part IN LISTS arg_FILES)
    if(NOT part MATCHES "^([^=]+)=(.+)$")
      message(FATAL_ERROR "qcc_add_model(${name}): FILES ${part}: expected name=path")
    endif()
    get_filename_component(file ${CMAKE_MATCH_2} ABSOLUTE)
    list(APPEND options --add-file=${CMAKE_MATCH_1}=${file})
    list(APPEND inputs ${file})
  endforeach()

  add_custom_command(OUTPUT ${artifact} BYPRODUCTS ${plan}
    COMMAND ${qcc} ${model} -o ${artifact} ${options} ${arg_OPTIONS} --plan-to=${plan} --depfile=${depfile}
    DEPENDS ${inputs} DEPFILE ${depfile}
    COMMENT "Compiling the model ${name}" VERBATIM)

  set(headers ${CMAKE_CURRENT_BINARY_DIR}/${name}.include)
  set(header ${headers}/${arg_HEADER})
  set(symbol)
  if(NOT arg_LINK STREQUAL "file")
    set(symbol qcc_model_${identifier})
  endif()
  set(script ${_QCC_PACKAGE_DIR}/QccModelHeader.cmake)
  add_custom_command(OUTPUT ${header}
    COMMAND ${CMAKE_COMMAND} -DQCC_INSPECT=${inspect} -DARTIFACT=${artifact} -DHEADER=${header} -DNAME=${name}
      -DNAMESPACE=${arg_NAMESPACE} -DSYMBOL=${symbol} -P ${script}
    DEPENDS ${artifact} ${script} ${_QCC_PACKAGE_DIR}/QccModelHeader.h.in
    COMMENT "Writing the header of the model ${name}" VERBATIM)
  add_custom_target(${name}_artifact ALL DEPENDS ${artifact} ${header})

  set(runtime qcc::runtime)
  if(arg_LINK STREQUAL "static" AND TARGET qcc::runtime_static)
    set(runtime qcc::runtime_static)
  endif()
  if(NOT TARGET ${runtime})
    message(WARNING "qcc_add_model(${name}): there is no runtime for ${CMAKE_SYSTEM_PROCESSOR}: set QCC_RUNTIME_DIR")
    set(runtime qcc::headers)
  endif()
  if(arg_LINK STREQUAL "file")
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  else()
    set(kind OBJECT)
    if(arg_LINK MATCHES "static|shared")
      string(TOUPPER ${arg_LINK} kind)
    endif()
    _qcc_embedding_source(source ${symbol} ${artifact})
    add_library(${name} ${kind} ${source})
    set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    set(scope PUBLIC)
  endif()
  target_link_libraries(${name} ${scope} ${runtime})
  target_include_directories(${name} ${scope} $<BUILD_INTERFACE:${headers}>)
  target_compile_features(${name} INTERFACE cxx_std_17)
  add_dependencies(${name} ${name}_artifact)
  set_target_properties(${name} PROPERTIES QCC_ARTIFACT ${artifact} QCC_PLAN ${plan} QCC_HEADER ${header})

  _qcc_add_tests(${name} ${artifact} GOLDEN ${arg_GOLDEN} TOLERANCE ${arg_TOLERANCE})
endfunction()

cmake_policy(POP)
