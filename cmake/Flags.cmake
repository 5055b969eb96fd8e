# Compiler flags of everything we compile, in mr_flags; MR_ALL_FLAGS is the same as a list, for logs.

# These change no result that has a NaN or an infinity in it; they only tell the compiler that
# nobody reads errno or the exception flags after arithmetic, so that loops vectorise, and let it
# use fused multiply-add. The flags that assume NaN away stay out: check.sh looks for them.
set(maths -fno-math-errno -fno-trapping-math -ffp-contract=fast)

set(machine -march=${MR_MARCH})
if(MR_VECTOR_WIDTH)
  list(APPEND machine -mprefer-vector-width=${MR_VECTOR_WIDTH})
endif()

set(warnings -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
  -Wwrite-strings -Wundef -Wcast-qual -Wpointer-arith -Wformat=2
  # Members that an initialiser leaves out are zero: that is how optional hooks are left out.
  -Wno-missing-field-initializers)
# Loops over library maths (the double build) cannot become vector code; that is no fault.
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  list(APPEND warnings -Wno-pass-failed)
endif()
# Kernel files: the pragmas are the device compiler's, and registers that a guard leaves unset are no
# fault.
set(cxx_warnings -Wall -Wextra -Wshadow -Wno-unknown-pragmas)
if(CMAKE_C_COMPILER_ID MATCHES Clang)
  list(APPEND cxx_warnings -Wno-pass-failed)
else()
  list(APPEND cxx_warnings -Wno-maybe-uninitialized)
endif()
set(cuda_warnings -Xcompiler=-Wall,-Wextra)
if(MR_WERROR)
  list(APPEND warnings -Werror)
  list(APPEND cxx_warnings -Werror)
  list(APPEND cuda_warnings -Werror=all-warnings)
endif()
if(NOT MR_OPENMP)
  list(APPEND warnings -Wno-unknown-pragmas)
endif()

set(sanitize "")
if(MR_SANITIZE)
  set(sanitize -fsanitize=${MR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
endif()

# Places in messages are relative to the source folder.
set(places -fmacro-prefix-map=${CMAKE_SOURCE_DIR}/=)

add_library(mr_flags INTERFACE)
target_compile_options(mr_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:C>:${machine};${maths};${warnings};${sanitize};${places}>"
  "$<$<COMPILE_LANGUAGE:CXX>:${machine};${maths};${cxx_warnings};${sanitize};${places}>"
  "$<$<COMPILE_LANGUAGE:CUDA>:${cuda_warnings};-Xcompiler=${places}>")
target_compile_definitions(mr_flags INTERFACE _GNU_SOURCE)
if(MR_SANITIZE)
  target_link_options(mr_flags INTERFACE ${sanitize})
endif()

string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
separate_arguments(given UNIX_COMMAND "${CMAKE_C_FLAGS} ${CMAKE_C_FLAGS_${build_type}}")
set(MR_ALL_FLAGS -std=c11 ${given} ${machine} ${maths} ${sanitize} ${OpenMP_C_FLAGS})
