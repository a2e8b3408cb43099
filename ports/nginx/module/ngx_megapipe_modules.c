
/*
 * Dynamic modules: the linker redirects calls in what it links with nginx, and
 * these were linked by others. When they are loaded, the addresses that the
 * dynamic linker has written for the same calls are replaced by the module's,
 * in the objects that hold nginx's modules and in no other: OpenSSL, libc and
 * libmegapipe go on to call the kernel.
 */

#include <ngx_megapipe.h>


#if (NGX_MEGAPIPE_HAVE_DYNAMIC)

#include <link.h>
#include <sys/mman.h>


/* an object in memory; of its dynamic section, what names its calls */

typedef struct {
    ngx_cycle_t           *cycle;
    struct dl_phdr_info   *info;
    ElfW(Sym)             *symbols;
    char                  *names;
    ElfW(Rela)            *relocations[2];
    size_t                 sizes[2];

    /* of RELRO: written once by the dynamic linker, read only from then on */
    u_char                *protected;
    size_t                 protected_size;
    ngx_uint_t             redirected;
} ngx_megapipe_object_t;


#define NGX_MEGAPIPE_CALL(name)  { #name, (void *) __wrap_##name }

static struct {
    char                  *name;
    void                  *function;
} ngx_megapipe_calls[] = {
    NGX_MEGAPIPE_CALL(accept),
    NGX_MEGAPIPE_CALL(accept4),
    NGX_MEGAPIPE_CALL(connect),
    NGX_MEGAPIPE_CALL(recv),
    NGX_MEGAPIPE_CALL(__recv_chk),
    NGX_MEGAPIPE_CALL(recvfrom),
    NGX_MEGAPIPE_CALL(__recvfrom_chk),
    NGX_MEGAPIPE_CALL(recvmsg),
    NGX_MEGAPIPE_CALL(read),
    NGX_MEGAPIPE_CALL(__read_chk),
    NGX_MEGAPIPE_CALL(readv),
    NGX_MEGAPIPE_CALL(send),
    NGX_MEGAPIPE_CALL(sendto),
    NGX_MEGAPIPE_CALL(sendmsg),
    NGX_MEGAPIPE_CALL(sendfile),
    NGX_MEGAPIPE_CALL(sendfile64),
    NGX_MEGAPIPE_CALL(write),
    NGX_MEGAPIPE_CALL(writev),
    NGX_MEGAPIPE_CALL(shutdown),
    NGX_MEGAPIPE_CALL(close),
    NGX_MEGAPIPE_CALL(setsockopt),
    NGX_MEGAPIPE_CALL(getsockopt),
    NGX_MEGAPIPE_CALL(getsockname),
    NGX_MEGAPIPE_CALL(getpeername),
    NGX_MEGAPIPE_CALL(ioctl),
    NGX_MEGAPIPE_CALL(poll),
    NGX_MEGAPIPE_CALL(epoll_ctl),
#if (NGX_OPENSSL || NGX_SSL)
    NGX_MEGAPIPE_CALL(SSL_set_fd),
#endif
    { NULL, NULL }
};


static void *
ngx_megapipe_call(char *name)
{
    ngx_uint_t  i;

    for (i = 0; ngx_megapipe_calls[i].name; i++) {
        if (ngx_strcmp(ngx_megapipe_calls[i].name, name) == 0) {
            return ngx_megapipe_calls[i].function;
        }
    }

    return NULL;
}


/* is it a word that holds the address of a symbol? */

static ngx_uint_t
ngx_megapipe_is_address(ElfW(Rela) *rela)
{
    switch (ELF64_R_TYPE(rela->r_info)) {

#if defined(__x86_64__)
    case R_X86_64_GLOB_DAT:
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_64:
        return 1;
#elif defined(__aarch64__)
    case R_AARCH64_GLOB_DAT:
    case R_AARCH64_JUMP_SLOT:
    case R_AARCH64_ABS64:
        return 1;
#endif

    default:
        return 0;
    }
}


static ngx_uint_t
ngx_megapipe_is_inside(struct dl_phdr_info *info, void *address)
{
    ElfW(Addr)         start;
    ElfW(Half)         i;
    const ElfW(Phdr)  *ph;

    for (i = 0; i < info->dlpi_phnum; i++) {
        ph = &info->dlpi_phdr[i];
        start = info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type == PT_LOAD && (ElfW(Addr)) address >= start
            && (ElfW(Addr)) address - start < ph->p_memsz)
        {
            return 1;
        }
    }

    return 0;
}


/* of a module, and not nginx itself */

static ngx_uint_t
ngx_megapipe_is_dynamic(ngx_cycle_t *cycle, struct dl_phdr_info *info)
{
    ngx_uint_t  i;

    if (ngx_megapipe_is_inside(info, &ngx_megapipe_module)) {
        return 0;
    }

    for (i = 0; cycle->modules[i]; i++) {
        if (ngx_megapipe_is_inside(info, cycle->modules[i])) {
            return 1;
        }
    }

    return 0;
}


/* glibc has made addresses of these, other dynamic linkers leave offsets */

static void *
ngx_megapipe_pointer(ngx_megapipe_object_t *object, ElfW(Dyn) *dyn)
{
    ElfW(Addr)  address;

    address = dyn->d_un.d_ptr;

    if (address < object->info->dlpi_addr) {
        address += object->info->dlpi_addr;
    }

    return (void *) address;
}


static void
ngx_megapipe_read_dynamic(ngx_megapipe_object_t *object, ElfW(Dyn) *dyn)
{
    for ( /* void */ ; dyn->d_tag != DT_NULL; dyn++) {

        switch (dyn->d_tag) {

        case DT_SYMTAB:
            object->symbols = ngx_megapipe_pointer(object, dyn);
            break;

        case DT_STRTAB:
            object->names = ngx_megapipe_pointer(object, dyn);
            break;

        case DT_RELA:
            object->relocations[0] = ngx_megapipe_pointer(object, dyn);
            break;

        case DT_RELASZ:
            object->sizes[0] = dyn->d_un.d_val;
            break;

        case DT_JMPREL:
            object->relocations[1] = ngx_megapipe_pointer(object, dyn);
            break;

        case DT_PLTRELSZ:
            object->sizes[1] = dyn->d_un.d_val;
            break;
        }
    }
}


static void
ngx_megapipe_read_headers(ngx_megapipe_object_t *object)
{
    ElfW(Addr)         start, end;
    ElfW(Half)         i;
    const ElfW(Phdr)  *ph;

    for (i = 0; i < object->info->dlpi_phnum; i++) {
        ph = &object->info->dlpi_phdr[i];
        start = object->info->dlpi_addr + ph->p_vaddr;

        if (ph->p_type == PT_DYNAMIC) {
            ngx_megapipe_read_dynamic(object, (ElfW(Dyn) *) start);

        } else if (ph->p_type == PT_GNU_RELRO) {

            /* whole pages, as the dynamic linker protects them */

            end = (start + ph->p_memsz) & ~((ElfW(Addr)) ngx_pagesize - 1);
            start &= ~((ElfW(Addr)) ngx_pagesize - 1);

            object->protected = (u_char *) start;
            object->protected_size = end - start;
        }
    }
}


static ngx_int_t
ngx_megapipe_protect(ngx_megapipe_object_t *object, int protection)
{
    if (object->protected_size == 0
        || mprotect(object->protected, object->protected_size, protection)
           == 0)
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, object->cycle->log, ngx_errno,
                  "mprotect() of the dynamic module \"%s\" failed, its socket "
                  "calls can't be redirected: build it into nginx "
                  "(--add-module), or \"use epoll\"",
                  object->info->dlpi_name);

    return NGX_ERROR;
}


static ngx_int_t
ngx_megapipe_redirect_call(ngx_megapipe_object_t *object, ElfW(Rela) *rela)
{
    void       **address, *function;
    char        *name;
    ElfW(Sym)   *symbol;

    symbol = &object->symbols[ELF64_R_SYM(rela->r_info)];

    if (symbol->st_shndx != SHN_UNDEF) {
        return NGX_OK;
    }

    name = object->names + symbol->st_name;
    function = ngx_megapipe_call(name);

    if (function == NULL) {
        return NGX_OK;
    }

    if (!ngx_megapipe_is_address(rela)) {
        ngx_log_error(NGX_LOG_EMERG, object->cycle->log, 0,
                      "the dynamic module \"%s\" calls %s(), which can't be "
                      "redirected: build it into nginx (--add-module), or "
                      "\"use epoll\"", object->info->dlpi_name, name);
        return NGX_ERROR;
    }

    address = (void **) (object->info->dlpi_addr + rela->r_offset);

    if (*address == function) {
        return NGX_OK;
    }

    if (object->redirected++ == 0
        && ngx_megapipe_protect(object, PROT_READ|PROT_WRITE) != NGX_OK)
    {
        return NGX_ERROR;
    }

    *address = function;

    return NGX_OK;
}


static int
ngx_megapipe_redirect_object(struct dl_phdr_info *info, size_t size,
    void *data)
{
    size_t                 n;
    ngx_uint_t             i;
    ElfW(Rela)            *rela;
    ngx_megapipe_object_t  object;

    ngx_memzero(&object, sizeof(ngx_megapipe_object_t));

    object.cycle = data;
    object.info = info;

    if (!ngx_megapipe_is_dynamic(object.cycle, info)) {
        return NGX_OK;
    }

    ngx_megapipe_read_headers(&object);

    for (i = 0; i < 2; i++) {
        rela = object.relocations[i];

        for (n = object.sizes[i] / sizeof(ElfW(Rela)); n; n--, rela++) {
            if (ngx_megapipe_redirect_call(&object, rela) != NGX_OK) {
                return NGX_ERROR;
            }
        }
    }

    if (object.redirected == 0) {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_INFO, object.cycle->log, 0,
                  "megapipe: %ui socket calls of \"%s\" are redirected",
                  object.redirected, info->dlpi_name);

    return ngx_megapipe_protect(&object, PROT_READ);
}


ngx_int_t
ngx_megapipe_redirect_modules(ngx_cycle_t *cycle)
{
    return dl_iterate_phdr(ngx_megapipe_redirect_object, cycle);
}

#else

ngx_int_t
ngx_megapipe_redirect_modules(ngx_cycle_t *cycle)
{
    return NGX_OK;
}

#endif
