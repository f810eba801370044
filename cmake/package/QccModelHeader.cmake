# The typed header of a model, from its artifact's manifest:
#   cmake -DQCC_INSPECT=program -DARTIFACT=file -DHEADER=file -DNAME=n -DNAMESPACE=n -DSYMBOL=s -P QccModelHeader.cmake
# SYMBOL is the function that gives the artifact's bytes; empty where the artifact is a file beside the program.
cmake_minimum_required(VERSION 3.20)

# The element as C++ has it, and as DLPack has it (code, bits). Where C++ has no type there is an integer of the size.
set(type_bool "bool" "6, 8")
set(type_f16 "std::uint16_t" "2, 16")
set(type_bf16 "std::uint16_t" "4, 16")
set(type_f32 "float" "2, 32")
set(type_f64 "double" "2, 64")
set(type_c64 "std::complex<float>" "5, 64")
set(type_c128 "std::complex<double>" "5, 128")
set(type_i2 "std::int8_t" "0, 2")
set(type_i4 "std::int8_t" "0, 4")
set(type_u2 "std::uint8_t" "1, 2")
set(type_u4 "std::uint8_t" "1, 4")
foreach(bits 8 16 32 64)
  set(type_i${bits} "std::int${bits}_t" "0, ${bits}")
  set(type_u${bits} "std::uint${bits}_t" "1, ${bits}")
endforeach()
set(type_f8E4M3FN "std::uint8_t" "10, 8")
set(type_f8E4M3FNUZ "std::uint8_t" "11, 8")
set(type_f8E5M2 "std::uint8_t" "12, 8")
set(type_f8E5M2FNUZ "std::uint8_t" "13, 8")
set(type_f8E8M0FNU "std::uint8_t" "14, 8")
set(type_f4E2M1FN "std::uint8_t" "17, 4")

set(keywords alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t char32_t char8_t class co_await
  co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default delete do double
  dynamic_cast else enum explicit export extern false float for friend goto if inline int long mutable namespace new noexcept not
  not_eq nullptr operator or or_eq private protected public register reinterpret_cast requires return short signed sizeof static
  static_assert static_cast struct switch template this thread_local throw true try typedef typeid typename union unsigned using
  virtual void volatile wchar_t while xor xor_eq)

# A C++ name for one of the model's, other than those in the list `taken`, which it joins.
function(identifier_of out name)
  string(MAKE_C_IDENTIFIER "${name}" word)
  string(REGEX REPLACE "__+" "_" word "${word}") # such names are the implementation's
  string(REGEX REPLACE "^_|_$" "" word "${word}")
  if(word STREQUAL "")
    set(word value)
  elseif(word MATCHES "^[0-9]")
    set(word "value_${word}")
  elseif(word IN_LIST keywords)
    set(word "${word}_")
  endif()
  set(unique ${word})
  set(count 1)
  while(unique IN_LIST taken)
    math(EXPR count "${count} + 1")
    set(unique ${word}_${count})
  endwhile()
  list(APPEND taken ${unique})
  set(taken "${taken}" PARENT_SCOPE)
  set(${out} ${unique} PARENT_SCOPE)
endfunction()

function(quote out text)
  string(REPLACE "\\" "\\\\" text "${text}")
  string(REPLACE "\"" "\\\"" text "${text}")
  string(REPLACE "\n" "\\n" text "${text}")
  set(${out} "\"${text}\"" PARENT_SCOPE)
endfunction()

# For the manifest's list `values`: a struct for each, a field of the template `field` for each, and the fields' names.
function(describe values space field structs_out fields_out list_out)
  set(structs "")
  set(fields "")
  set(list "")
  set(taken "")
  string(JSON count LENGTH "${values}")
  set(index 0)
  while(index LESS count)
    string(JSON value GET "${values}" ${index})
    math(EXPR index "${index} + 1")
    string(JSON name GET "${value}" name)
    string(JSON dtype GET "${value}" dtype)
    string(JSON all GET "${value}" dims)
    string(JSON rank LENGTH "${all}")
    if(NOT DEFINED type_${dtype})
      message(FATAL_ERROR "'${name}' has elements of type ${dtype}, which this version's headers do not know")
    endif()
    list(GET type_${dtype} 0 element)
    list(GET type_${dtype} 1 dlpack)
    set(dims "")
    set(symbols "")
    set(static true)
    set(dim 0)
    set(separator "")
    while(dim LESS rank)
      string(JSON kind TYPE "${all}" ${dim})
      string(JSON size GET "${all}" ${dim})
      math(EXPR dim "${dim} + 1")
      set(symbol "")
      if(kind STREQUAL "STRING")
        set(symbol "${size}")
        set(size -1)
        set(static false)
      endif()
      quote(symbol "${symbol}")
      string(APPEND dims "${separator}${size}")
      string(APPEND symbols "${separator}${symbol}")
      set(separator ", ")
    endwhile()
    identifier_of(word "${name}")
    quote(name "${name}")
    string(APPEND structs "struct ${word} {
  using Element = ${element};
  static constexpr const char *name = ${name};
  static constexpr DLDataType type = {${dlpack}, 1};
  static constexpr std::size_t rank = ${rank};
  static constexpr bool isStatic = ${static}; // whether every dimension is known
  static constexpr std::array<std::int64_t, rank> dims = {${dims}};
  static constexpr std::array<const char *, rank> symbols = {${symbols}};
};
")
    string(APPEND fields "  qcc::${field}<${space}::${word}> ${word};\n")
    if(list)
      string(APPEND list ", ")
    endif()
    string(TOLOWER ${space}puts owner)
    string(APPEND list "${owner}.${word}")
  endwhile()
  set(${structs_out} "${structs}" PARENT_SCOPE)
  set(${fields_out} "${fields}" PARENT_SCOPE)
  set(${list_out} "${list}" PARENT_SCOPE)
endfunction()

execute_process(COMMAND ${QCC_INSPECT} ${ARTIFACT} --json OUTPUT_VARIABLE manifest RESULT_VARIABLE status)
if(status)
  message(FATAL_ERROR "${QCC_INSPECT} cannot read ${ARTIFACT}")
endif()
foreach(part inputs outputs states)
  string(JSON ${part}_json ERROR_VARIABLE missing GET "${manifest}" ${part})
  if(missing)
    set(${part}_json "[]")
  endif()
endforeach()
describe("${inputs_json}" in Tensor inputs input_fields input_list)
describe("${outputs_json}" out Result outputs output_fields output_list)

set(states "// Pairs of inputs and outputs that the session keeps.\nstruct State {\n  const char *input, *output;\n};\n")
string(JSON count LENGTH "${states_json}")
string(APPEND states "inline constexpr std::array<State, ${count}> states = {")
if(count)
  string(APPEND states "{")
  set(index 0)
  while(index LESS count)
    string(JSON input GET "${states_json}" ${index} input)
    string(JSON output GET "${states_json}" ${index} output)
    quote(input "${input}")
    quote(output "${output}")
    string(APPEND states "{${input}, ${output}}, ")
    math(EXPR index "${index} + 1")
  endwhile()
  string(REGEX REPLACE ", $" "}" states "${states}")
endif()
string(APPEND states "};\n")

if(SYMBOL)
  set(accessor "extern \"C\" const void *${SYMBOL}(std::size_t *size);\n")
  set(open "/// Opens the model, whose artifact is part of the program.
inline Model open() {
  std::size_t size = 0;
  const void *data = ${SYMBOL}(&size);
  return Model(data, size);
}\n")
else()
  set(accessor "")
  get_filename_component(file ${ARTIFACT} NAME)
  quote(file "${file}")
  set(open "/// Opens the model's artifact: a file beside the program unless another path is given.
inline Model open(const std::string &path = qcc::besideProgram(${file})) { return Model(path); }\n")
endif()

# Written where something is new only, so that a model with other weights makes no program be compiled again.
configure_file(${CMAKE_CURRENT_LIST_DIR}/QccModelHeader.h.in ${HEADER} @ONLY)
