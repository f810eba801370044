# Compiler settings that every part of qcc shares; knows nothing of LLVM.

find_program(QCC_CCACHE ccache)
if(QCC_CCACHE)
  set(CMAKE_C_COMPILER_LAUNCHER ${QCC_CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
      CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${QCC_CCACHE})
endif()

add_compile_options(-Wall -Wextra -Wno-unused-parameter $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor>)

# QCC_SANITIZE=address,undefined instruments every target with the sanitizers named.
set(QCC_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize spells them")
if(QCC_SANITIZE)
  add_compile_options(-fsanitize=${QCC_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${QCC_SANITIZE})
endif()
